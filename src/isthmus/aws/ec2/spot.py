"""Spot instances: ordinary ones that cost nothing and are never interrupted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Face, Look
from isthmus.aws.ec2.launch import launch
from isthmus.aws.ec2.offerings import FREE
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import spot
from isthmus.model import ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CancelSpotInstanceRequestsRequestTypeDef,
        DescribeSpotInstanceRequestsRequestTypeDef,
        RequestSpotInstancesRequestTypeDef,
    )

_MOST = 1000
_ENDED = frozenset({ServerState.DELETING, ServerState.DELETED, ServerState.ERROR})
# whether it is cancelled, whether its instance has ended -> the state, the status and what it means
_STATES = {
    (False, False): ("active", "fulfilled", "Your Spot request is fulfilled."),
    (False, True): ("closed", "instance-terminated-by-user", "The instance was terminated by its user."),
    (True, False): (
        "cancelled",
        "request-canceled-and-instance-running",
        "The request is canceled and its instance is still running.",
    ),
    (True, True): ("cancelled", "instance-terminated-by-user", "The instance was terminated by its user."),
}


@ec2.action(
    "RequestSpotInstances",
    makes=["spot-instances-request"],
    refuses={
        "ValidFrom": "Requests are fulfilled at once.",
        "LaunchGroup": "Instances end one by one.",
        "AvailabilityZoneGroup": "Requests are fulfilled one by one; name a zone.",
        "BlockDurationMinutes": "AWS retired Spot Blocks.",
    },
)
def request_spot_instances(cx: Context, req: RequestSpotInstancesRequestTypeDef) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = req.get("LaunchSpecification", {})
    if spec.get("AddressingType"):
        raise AwsError("UnsupportedOperation", "LaunchSpecification.AddressingType belongs to EC2-Classic.")
    count = req.get("InstanceCount", 1)
    if not 1 <= count <= _MOST:
        raise AwsError("InvalidParameterValue", f"Value ({count}) for parameter instanceCount is invalid.")
    options: dict[str, Any] = {
        "MaxPrice": req.get("SpotPrice", ""),
        "SpotInstanceType": req.get("Type", "one-time"),
        "InstanceInterruptionBehavior": req.get("InstanceInterruptionBehavior", "terminate"),
    }
    if "ValidUntil" in req:
        options["ValidUntil"] = req["ValidUntil"]
    market = {"MarketType": "spot", "SpotOptions": options}
    made = launch(cx, {**spec, "MinCount": count, "MaxCount": count, "InstanceMarketOptions": market}).instances
    look = Look(cx)
    return {"SpotInstanceRequests": [render(cx, look.face(one)) for one in made]}


@ec2.listing("DescribeSpotInstanceRequests", key="SpotInstanceRequestId", exclusive="SpotInstanceRequestIds")
def describe_spot_instance_requests(
    cx: Context, req: DescribeSpotInstanceRequestsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    look = Look(cx)
    return (render(cx, look.face(one)) for one in spot.find(cx, req.get("SpotInstanceRequestIds")))


@ec2.action("CancelSpotInstanceRequests")
def cancel_spot_instance_requests(cx: Context, req: CancelSpotInstanceRequestsRequestTypeDef) -> Mapping[str, Any]:
    ids = list(dict.fromkeys(req["SpotInstanceRequestIds"]))
    spot.cancel(cx, ids)
    return {"CancelledSpotInstanceRequests": [{"SpotInstanceRequestId": one, "State": "cancelled"} for one in ids]}


def render(cx: Context, face: Face) -> dict[str, Any]:
    """A SpotInstanceRequest of the model."""
    asked = face.instance.launch
    known = spot.request_id(face.id)
    state, code, message = _STATES[bool(asked.spot_cancelled), face.server.state in _ENDED]
    changed = datetime.fromisoformat(asked.spot_cancelled) if asked.spot_cancelled else face.server.created
    said: dict[str, Any] = {
        "SpotInstanceRequestId": known,
        "InstanceId": face.id,
        "State": state,
        "Status": {"Code": code, "Message": message, "UpdateTime": changed},
        "Type": asked.spot,
        "SpotPrice": asked.spot_price or FREE,
        "CreateTime": face.server.created,
        "LaunchedAvailabilityZone": face.zone,
        "LaunchedAvailabilityZoneId": face.zone_id,
        "ProductDescription": "Windows" if face.server.platform else "Linux/UNIX",
        "InstanceInterruptionBehavior": asked.spot_behavior,
        "LaunchSpecification": _specification(face),
        "Tags": tag_set(cx.view().tags.get(known, {})),
    }
    return {**said, "ValidUntil": datetime.fromisoformat(asked.spot_until)} if asked.spot_until else said


def _specification(face: Face) -> dict[str, Any]:
    """A LaunchSpecification: what the instance is."""
    asked = face.instance.launch
    optional = {
        "KeyName": asked.key,
        "KernelId": face.kernel,
        "RamdiskId": face.ramdisk,
        "SubnetId": face.subnet,
    }
    return {
        "ImageId": face.image,
        "InstanceType": face.flavor,
        "EbsOptimized": asked.ebs_optimized,
        "Monitoring": {"Enabled": asked.monitored},
        "Placement": {"AvailabilityZone": face.zone, "AvailabilityZoneId": face.zone_id},
        "SecurityGroups": [{"GroupId": one.id, "GroupName": one.noun.name} for one in face.instance.groups],
        "BlockDeviceMappings": [_disk(face, one) for one in face.instance.disks],
        **{name: value for name, value in optional.items() if value},
    }


def _disk(face: Face, disk: Any) -> dict[str, Any]:
    held = next(one for one in disk.noun.attachments if one.server == face.server.native)
    ebs = {
        "DeleteOnTermination": held.delete_with_server,
        "VolumeSize": disk.noun.size,
        "VolumeType": disk.noun.type or "gp2",
    }
    return {"DeviceName": held.device, "Ebs": ebs}
