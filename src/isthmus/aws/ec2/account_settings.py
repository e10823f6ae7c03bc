"""What an account sets for itself: encryption of new volumes, and access to serial consoles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.aws.ec2.api import ec2
from isthmus.context import Context
from isthmus.core import kept, volumes

_SERIAL_CONSOLE = "serial-console"


@ec2.action("EnableEbsEncryptionByDefault")
def enable_ebs_encryption_by_default(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    volumes.encrypt_by_default(cx)
    return {"EbsEncryptionByDefault": True}


@ec2.action("DisableEbsEncryptionByDefault")
def disable_ebs_encryption_by_default(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    kept.set_setting(cx, volumes.ENCRYPT, False)
    return {"EbsEncryptionByDefault": False}


@ec2.action("GetEbsEncryptionByDefault")
def get_ebs_encryption_by_default(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"EbsEncryptionByDefault": volumes.encrypts(cx), "SseType": "none"}


@ec2.action("EnableSerialConsoleAccess")
def enable_serial_console_access(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return _serial_console(cx, True)


@ec2.action("DisableSerialConsoleAccess")
def disable_serial_console_access(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return _serial_console(cx, False)


@ec2.action("GetSerialConsoleAccessStatus")
def get_serial_console_access_status(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"SerialConsoleAccessEnabled": kept.settings(cx).get(_SERIAL_CONSOLE, False), "ManagedBy": "account"}


def _serial_console(cx: Context, wanted: bool) -> Mapping[str, Any]:
    kept.set_setting(cx, _SERIAL_CONSOLE, wanted)
    return {"SerialConsoleAccessEnabled": wanted}
