"""Who may make volumes of a snapshot, and locks that keep one from being deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2 import permissions
from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import locks, volumes
from isthmus.core.locks import Lock
from isthmus.core.registry import Found
from isthmus.model import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeLockedSnapshotsRequestTypeDef,
        DescribeSnapshotAttributeRequestTypeDef,
        LockSnapshotRequestTypeDef,
        ModifySnapshotAttributeRequestTypeDef,
        ResetSnapshotAttributeRequestTypeDef,
        UnlockSnapshotRequestTypeDef,
    )

_PERMISSION = "createVolumePermission"
_MODES = ("governance", "compliance")
# source: LockSnapshot in the EC2 API reference
_DAYS = range(1, 36501)
_COOL_OFF_HOURS = range(1, 73)


@ec2.action("DescribeSnapshotAttribute")
def describe_snapshot_attribute(cx: Context, req: DescribeSnapshotAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    match req["Attribute"]:
        case "createVolumePermission":
            return {"SnapshotId": found.id, "CreateVolumePermissions": permissions.listed(cx, found)}
        case "productCodes":
            return {"SnapshotId": found.id, "ProductCodes": []}
        case other:
            raise _unknown(other)


@ec2.action("ModifySnapshotAttribute")
def modify_snapshot_attribute(cx: Context, req: ModifySnapshotAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    if req.get("Attribute", _PERMISSION) != _PERMISSION:
        raise _unknown(req["Attribute"])
    users = [*req.get("UserIds", ()), *req.get("GroupNames", ())]
    change = permissions.asked(req.get("CreateVolumePermission", {}), users, req.get("OperationType", ""))
    if not change:
        raise AwsError("MissingParameter", "The request must contain the parameter CreateVolumePermission")
    public, accounts = permissions.changed(cx, found, change, "InvalidParameterValue")
    volumes.share_snapshot(cx, found.id, public=public, accounts=accounts)
    return {}


@ec2.action("ResetSnapshotAttribute")
def reset_snapshot_attribute(cx: Context, req: ResetSnapshotAttributeRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    if req["Attribute"] != _PERMISSION:
        raise _unknown(req["Attribute"])
    volumes.share_snapshot(cx, found.id, public=False, accounts=())
    return {}


@ec2.action("LockSnapshot")
def lock_snapshot(cx: Context, req: LockSnapshotRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    mode, hours = req["LockMode"], req.get("CoolOffPeriod")
    if mode not in _MODES:
        raise AwsError("InvalidParameterValue", f"Value ({mode}) for parameter lockMode is invalid.")
    if hours is not None and mode == "governance":
        raise AwsError("InvalidParameterCombination", "A CoolOffPeriod is for the mode 'compliance' only.")
    if hours is not None and hours not in _COOL_OFF_HOURS:
        raise AwsError("InvalidParameterValue", f"Value ({hours}) for parameter coolOffPeriod is invalid.")
    wanted = locks.lasting(cx, strict=mode == "compliance", expires=_expires(cx, req), hours=hours or 0)
    return {"SnapshotId": found.id, **_said(cx, locks.lock(cx, found, wanted))}


@ec2.action("UnlockSnapshot")
def unlock_snapshot(cx: Context, req: UnlockSnapshotRequestTypeDef) -> Mapping[str, Any]:
    found = volumes.own_snapshot(cx, req["SnapshotId"])
    locks.unlock(cx, found)
    return {"SnapshotId": found.id}


@ec2.listing("DescribeLockedSnapshots", key="SnapshotId", exclusive="SnapshotIds")
def describe_locked_snapshots(cx: Context, req: DescribeLockedSnapshotsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    wanted = req.get("SnapshotIds")
    found = [volumes.own_snapshot(cx, one) for one in wanted] if wanted else _own(cx)
    for one in found:
        if lock := locks.lock_of(one):
            yield {"SnapshotId": one.id, "OwnerId": cx.account, **_said(cx, lock)}


def _own(cx: Context) -> Iterator[Found[Snapshot]]:
    return (one for one in volumes.find_snapshots(cx) if one.noun.owner == cx.tenant(one.cloud))


def _expires(cx: Context, req: LockSnapshotRequestTypeDef) -> datetime:
    days, until = req.get("LockDuration"), req.get("ExpirationDate")
    if (days is None) == (until is None):
        raise AwsError("InvalidParameterCombination", "Exactly one of LockDuration and ExpirationDate must be given.")
    if days is not None:
        if days not in _DAYS:
            raise AwsError("InvalidParameterValue", f"Value ({days}) for parameter lockDuration is invalid.")
        return cx.now() + timedelta(days=days)
    if not isinstance(until, datetime) or until <= cx.now():
        raise AwsError("InvalidParameterValue", "The ExpirationDate must be in the future.")
    return until


def _said(cx: Context, lock: Lock) -> dict[str, Any]:
    now = cx.now()
    cooling = lock.open_until > lock.since
    said: dict[str, Any] = {
        "LockState": _state(lock, now),
        "LockDuration": -(-(lock.expires - lock.since) // timedelta(days=1)),
        "LockCreatedOn": lock.created,
        "LockDurationStartTime": lock.since,
        "LockExpiresOn": lock.expires,
    }
    if cooling:
        said["CoolOffPeriod"] = (lock.open_until - lock.since) // timedelta(hours=1)
        said["CoolOffPeriodExpiresOn"] = lock.open_until
    return said


def _state(lock: Lock, now: datetime) -> str:
    if not lock.held(now):
        return "expired"
    if not lock.strict:
        return "governance"
    return "compliance" if lock.closed(now) else "compliance-cooloff"


def _unknown(attribute: str) -> AwsError:
    return AwsError("InvalidParameterValue", f"Value ({attribute}) for parameter attribute is invalid.")
