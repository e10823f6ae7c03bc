"""What owners say of their images: who may launch them, when they are deprecated, whether they may be deregistered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.images import own
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import image_notes, images

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DisableImageDeprecationRequestTypeDef,
        DisableImageDeregistrationProtectionRequestTypeDef,
        EnableImageDeprecationRequestTypeDef,
        EnableImageDeregistrationProtectionRequestTypeDef,
        ResetImageAttributeRequestTypeDef,
    )

# source: EnableImageDeprecation in the EC2 API reference
_LONGEST = timedelta(days=3653)
_LONGEST_PUBLIC = timedelta(days=731)


@ec2.action("ResetImageAttribute")
def reset_image_attribute(cx: Context, req: ResetImageAttributeRequestTypeDef) -> Mapping[str, Any]:
    if req["Attribute"] != "launchPermission":
        raise AwsError("InvalidRequest", f"The attribute {req['Attribute'][:64]} cannot be reset.")
    found = own(cx, req["ImageId"])
    images.share(cx, found.id, public=False, accounts=())
    return {}


@ec2.action("EnableImageDeprecation")
def enable_image_deprecation(cx: Context, req: EnableImageDeprecationRequestTypeDef) -> Mapping[str, Any]:
    found, when = own(cx, req["ImageId"]), req["DeprecateAt"]
    if not isinstance(when, datetime) or when <= cx.now():
        raise AwsError("InvalidParameterValue", "The DeprecateAt date must be in the future.")
    latest = found.noun.created + _LONGEST_PUBLIC if found.noun.public else cx.now() + _LONGEST
    if when > latest:
        raise AwsError("InvalidParameterValue", f"The DeprecateAt date must not be after {latest:%Y-%m-%d}.")
    image_notes.deprecate(cx, found, _minute(when))
    return {"Return": True}


@ec2.action("DisableImageDeprecation")
def disable_image_deprecation(cx: Context, req: DisableImageDeprecationRequestTypeDef) -> Mapping[str, Any]:
    image_notes.deprecate(cx, own(cx, req["ImageId"]), None)
    return {"Return": True}


@ec2.action("EnableImageDeregistrationProtection")
def enable_image_deregistration_protection(
    cx: Context, req: EnableImageDeregistrationProtectionRequestTypeDef
) -> Mapping[str, Any]:
    cooldown = req.get("WithCooldown", False)
    image_notes.protect(cx, own(cx, req["ImageId"]), cooldown=cooldown)
    return {"Return": "enabled-with-cooldown" if cooldown else "enabled-without-cooldown"}


@ec2.action("DisableImageDeregistrationProtection")
def disable_image_deregistration_protection(
    cx: Context, req: DisableImageDeregistrationProtectionRequestTypeDef
) -> Mapping[str, Any]:
    image_notes.unprotect(cx, own(cx, req["ImageId"]))
    return {"Return": "disabled"}


def _minute(when: datetime) -> datetime:
    """Rounded to the nearest minute, as EC2 does."""
    return (when + timedelta(seconds=30)).replace(second=0, microsecond=0)
