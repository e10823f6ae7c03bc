"""Capacity reservations, of ordinary capacity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.launch import zone_of
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import capacity
from isthmus.core.capacity import Reservation

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CancelCapacityReservationRequestTypeDef,
        CreateCapacityReservationRequestTypeDef,
        DescribeCapacityReservationsRequestTypeDef,
    )

_MOST = 1000
_PLATFORMS = {"Linux/UNIX": "", "Windows": "windows"}
_SAID = {platform: name for name, platform in _PLATFORMS.items()}


@ec2.action(
    "CreateCapacityReservation",
    makes=["capacity-reservation"],
    refuses={
        "EphemeralStorage": "There are no instance store volumes.",
        "OutpostArn": "There are no Outposts.",
        "PlacementGroupArn": "Capacity is that of a whole zone.",
        "StartDate": "Reservations begin at once.",
        "CommitmentDuration": "Reservations begin at once.",
        "DeliveryPreference": "Reservations begin at once.",
    },
)
def create_capacity_reservation(cx: Context, req: CreateCapacityReservationRequestTypeDef) -> Mapping[str, Any]:
    """EbsOptimized is kept and changes nothing: all instances are alike in it."""
    zone, platform, count = zone_of(cx, req), req["InstancePlatform"], req["InstanceCount"]
    if not zone:
        raise AwsError("MissingParameter", "The request must contain the parameter availabilityZone")
    if platform not in _PLATFORMS:
        raise AwsError("UnsupportedOperation", f"The instance platform {platform} is not told apart here.")
    if not 1 <= count <= _MOST:
        raise AwsError("InvalidParameterValue", f"Value ({count}) for parameter instanceCount is invalid.")
    if req.get("Tenancy", "default") != "default":
        raise AwsError("UnsupportedOperation", "There are no dedicated hosts.")
    if req.get("InstanceMatchCriteria", "open") != "open":
        raise AwsError("UnsupportedOperation", "Reservations are open: instances are not targeted at one.")
    data = {
        "flavor": req["InstanceType"],
        "zone": zone,
        "platform": _PLATFORMS[platform],
        "count": count,
        "ends": _end(cx, req),
        "ebs_optimized": req.get("EbsOptimized", False),
    }
    return {"CapacityReservation": render(cx, capacity.create(cx, data, cx.tags.get("capacity-reservation", {})))}


@ec2.action(
    "CancelCapacityReservation",
    refuses={"ApplyCancellationCharges": "There are no charges.", "QuoteId": "There are no charges."},
)
def cancel_capacity_reservation(cx: Context, req: CancelCapacityReservationRequestTypeDef) -> Mapping[str, Any]:
    capacity.cancel(cx, req["CapacityReservationId"])
    return {"Return": True}


@ec2.listing("DescribeCapacityReservations", key="CapacityReservationId")
def describe_capacity_reservations(
    cx: Context, req: DescribeCapacityReservationsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    return (render(cx, one) for one in capacity.find(cx, req.get("CapacityReservationIds")))


def render(cx: Context, one: Reservation) -> dict[str, Any]:
    """A CapacityReservation of the model."""
    data, created = one.kept.data, one.kept.created
    said = {
        "CapacityReservationId": one.kept.id,
        "OwnerId": cx.account,
        "CapacityReservationArn": f"arn:aws:ec2:{cx.world.region}:{cx.account}:capacity-reservation/{one.kept.id}",
        "InstanceType": data["flavor"],
        "InstancePlatform": _SAID[data["platform"]],
        "AvailabilityZone": data["zone"],
        "AvailabilityZoneId": cx.world.zone_id(data["zone"]),
        "Tenancy": "default",
        "TotalInstanceCount": data["count"] if one.state == "active" else 0,
        "AvailableInstanceCount": data["count"] - one.used if one.state == "active" else 0,
        "EbsOptimized": data["ebs_optimized"],
        "EphemeralStorage": False,
        "State": one.state,
        "StartDate": created,
        "CreateDate": created,
        "EndDateType": "limited" if data["ends"] else "unlimited",
        "InstanceMatchCriteria": "open",
        "ReservationType": "default",
        "Tags": tag_set(one.kept.tags),
    }
    return {**said, "EndDate": datetime.fromisoformat(data["ends"])} if data["ends"] else said


def _end(cx: Context, req: Mapping[str, Any]) -> str:
    """When a reservation ends, empty for never. Raises AwsError unless type and date agree."""
    end, kind = req.get("EndDate"), req.get("EndDateType", "limited" if "EndDate" in req else "unlimited")
    if kind not in ("limited", "unlimited"):
        raise AwsError("InvalidParameterValue", f"Value ({kind}) for parameter endDateType is invalid.")
    if (kind == "limited") != (end is not None):
        raise AwsError("InvalidParameterCombination", "EndDate goes with the EndDateType limited, and this with it.")
    if isinstance(end, datetime) and end <= cx.now():
        raise AwsError("InvalidParameterValue", "EndDate must be in the future.")
    return end.isoformat() if isinstance(end, datetime) else ""
