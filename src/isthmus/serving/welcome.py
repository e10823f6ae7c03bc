"""The state directory, and what the first start puts into it: an account, and a profile that AWS clients read."""

from __future__ import annotations

import configparser
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.config import ConfigError, Settings
from isthmus.options import Address
from isthmus.serving.duties import alone

if TYPE_CHECKING:
    from isthmus.store import Store

ACCOUNT = "default"
_PROFILE = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """The two files that AWS clients read."""

    credentials: Path
    config: Path

    @classmethod
    def of(cls, settings: Settings) -> Profile:
        return cls(settings.state / "aws" / "credentials", settings.state / "aws" / "config")


def prepare(settings: Settings) -> None:
    """Make the state directory, closed to other users. Raises ConfigError if it cannot be used."""
    try:
        settings.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings.run.mkdir(exist_ok=True, mode=0o700)
        probe = settings.run / f"probe-{os.getpid()}-{secrets.token_hex(4)}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise ConfigError(f"The state directory {settings.state} cannot be used: {error.strerror}.") from None


def first_start(settings: Settings, store: Store) -> bool:
    """Give an empty store its first account and key, and a profile to go with them; whether that was done.

    The profile waits under another name until its key is stored: a crash in between is mended by the next start.
    """
    profile = Profile.of(settings).credentials
    draft = profile.with_name("credentials.new")
    try:
        with alone(settings.run / "first-start"):
            kept = _kept(draft)
            if not kept and store.accounts():
                return False
            access_key, secret = kept or _new(draft)
            if not store.credential(access_key):
                known = next((one for one in store.accounts() if one.name == ACCOUNT), None)
                store.import_credential((known or store.create_account(ACCOUNT)).id, access_key, secret)
            draft.replace(profile)
            return True
    except OSError as error:
        raise ConfigError(f"The profile in {settings.state} cannot be written: {error.strerror}.") from None


def write_config(settings: Settings, listening: Address) -> None:
    """Point the profile at where the service listens now."""
    text = f"[{_PROFILE}]\nregion = {settings.region}\nendpoint_url = {endpoint(listening)}\noutput = json\n"
    try:
        write_private(Profile.of(settings).config, text)
    except OSError as error:
        raise ConfigError(f"The profile in {settings.state} cannot be written: {error.strerror}.") from None


def endpoint_of(settings: Settings) -> str:
    """The URL of the service as the profile has it: where it listens, or did last; by the settings before that."""
    profile = configparser.ConfigParser(interpolation=None)
    with suppress(OSError, configparser.Error):
        profile.read_string(Profile.of(settings).config.read_text("utf-8"))
    return profile.get(_PROFILE, "endpoint_url", fallback=endpoint(settings.listen))


def endpoint(listening: Address) -> str:
    """The URL that a client on this host uses."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
    return f"http://{Address(anywhere.get(listening.host, listening.host), listening.port)}"


def write_private(path: Path, text: str) -> None:
    """Put a whole file in place, readable by its owner only. OSError if that fails; the old one then stays."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _kept(path: Path) -> tuple[str, str] | None:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, "utf-8")
        profile = parser[_PROFILE]
        return profile["aws_access_key_id"], profile["aws_secret_access_key"]
    except (configparser.Error, KeyError, UnicodeDecodeError):
        return None


def _new(path: Path) -> tuple[str, str]:
    access_key = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
    secret = secrets.token_urlsafe(30)
    lines = [f"[{_PROFILE}]", f"aws_access_key_id = {access_key}", f"aws_secret_access_key = {secret}"]
    write_private(path, "\n".join(lines) + "\n")
    return access_key, secret


def greeting(settings: Settings, listening: Address) -> str:
    """How to use the service, for the person who started it."""
    profile = Profile.of(settings)
    lines = [f"Isthmus listens on http://{listening}", ""]
    if profile.credentials.exists():
        lines += [
            "Use it with the profile of the account 'default':",
            f"  export AWS_CONFIG_FILE={profile.config} AWS_SHARED_CREDENTIALS_FILE={profile.credentials}",
            "  aws ec2 describe-instances",
            "",
            "Clients that read no profile take the endpoint from the environment:",
            f"  export AWS_ENDPOINT_URL={endpoint(listening)}",
        ]
    return "\n".join(lines)
