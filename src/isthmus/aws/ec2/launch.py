"""RunInstances."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.disks import disk_orders
from isthmus.aws.ec2.faces import Look
from isthmus.aws.ec2.from_template import demand_type, with_template
from isthmus.aws.ec2.instances import render
from isthmus.aws.ec2.launch_ports import port_orders, public_address
from isthmus.aws.ec2.market import market_options
from isthmus.aws.ec2.placement_groups import group_of
from isthmus.aws.ec2.profiles import arn_of
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import keys, launching, spot
from isthmus.core.instance import Launch
from isthmus.core.launching import Launched, Order

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import RunInstancesRequestTypeDef

_DEFAULT_TYPE = "m1.small"
_USER_DATA = 16 * 1024
_MOST = 1000
_CREDITS = ("standard", "unlimited")
_REFUSES = {
    "ElasticGpuSpecification": "AWS retired Elastic Graphics.",
    "ElasticInferenceAccelerators": "AWS retired Elastic Inference.",
    "LicenseSpecifications": "There is no License Manager.",
    "Ipv6AddressCount": "Guests have IPv4 addresses only.",
    "Ipv6Addresses": "Guests have IPv4 addresses only.",
    "EnablePrimaryIpv6": "Guests have IPv4 addresses only.",
    "SecondaryInterfaces": "Guests have one interface.",
    "AdditionalInfo": "It is reserved by AWS.",
    "Operator": "There are no managed instances.",
}
# what may be said as long as it says what is so anyway: parameter -> member -> the values that are
_ONLY: Mapping[str, Mapping[str, frozenset[Any]]] = {
    "HibernationOptions": {"Configured": frozenset({False})},
    "EnclaveOptions": {"Enabled": frozenset({False})},
    "CapacityReservationSpecification": {"CapacityReservationPreference": frozenset({"open", "none"})},
    "MaintenanceOptions": {"AutoRecovery": frozenset({"default", "disabled"})},
    "NetworkPerformanceOptions": {"BandwidthWeighting": frozenset({"default"})},
    "PrivateDnsNameOptions": {
        "HostnameType": frozenset({"ip-name"}),
        "EnableResourceNameDnsARecord": frozenset({False}),
        "EnableResourceNameDnsAAAARecord": frozenset({False}),
    },
    "CpuOptions": {},
    "Placement": {
        "Tenancy": frozenset({"default"}),
    },
}
_FREE = frozenset({"AvailabilityZone", "AvailabilityZoneId", "GroupName", "GroupId", "PartitionNumber"})


@ec2.action(
    "RunInstances", makes=["instance", "volume", "network-interface", "spot-instances-request"], refuses=_REFUSES
)
def run_instances(cx: Context, req: RunInstancesRequestTypeDef) -> Mapping[str, Any]:
    launched = launch(cx, req)
    look = Look(cx)
    items = [render(look.face(one)) for one in launched.instances]
    return {"ReservationId": launched.reservation, "OwnerId": cx.account, "Groups": [], "Instances": items}


def launch(cx: Context, req: Mapping[str, Any], **told: Any) -> Launched:
    """Launch what a request and its template say; `told` are fields of Launch that no request has."""
    cx, said = with_template(cx, req)
    demand_type(said)
    order = order_of(cx, said)
    launched = launching.launch(cx, replace(order, launch=replace(order.launch, **told)))
    tags = cx.tags.get("spot-instances-request", {})
    spot.tag(cx, [one for one in launched.instances if one.launch.spot], tags)
    return launched


def order_of(cx: Context, said: Mapping[str, Any]) -> Order:
    """A request as the core takes it. Raises AwsError for what EC2 would refuse."""
    req: RunInstancesRequestTypeDef = said  # type: ignore[assignment]
    for parameter, reason in _REFUSES.items():
        if said.get(parameter):
            raise AwsError("UnsupportedOperation", f"The parameter {parameter} is not supported. {reason}")
    _demand_only(req)
    least, most = _counts(req)
    image = req.get("ImageId", "")
    if not image:
        raise AwsError("MissingParameter", "The request must contain the parameter ImageId")
    if req.get("KeyName"):
        keys.named(cx, req["KeyName"])
    text, data = user_data(req.get("UserData", ""))
    return Order(
        image=image,
        flavor=req.get("InstanceType", _DEFAULT_TYPE),
        least=least,
        most=most,
        launch=_launch(cx, req, text),
        zone=zone_of(cx, req.get("Placement", {})),
        ports=port_orders(req),
        public=public_address(req),
        group_names=tuple(req.get("SecurityGroups", ())),
        disks=disk_orders(req.get("BlockDeviceMappings", ())),
        user_data=data,
        kernel=req.get("KernelId", ""),
        ramdisk=req.get("RamdiskId", ""),
        placement=group_of(cx, req.get("Placement", {})),
        partition=req.get("Placement", {}).get("PartitionNumber", 0),
    )


def zone_of(cx: Context, placement: Mapping[str, Any]) -> str:
    """The zone asked for by name or by id, empty for none. Raises AwsError for one that is not there."""
    zone: str = placement.get("AvailabilityZone", "")
    if wanted := placement.get("AvailabilityZoneId", ""):
        ids = {cx.world.zone_id(name): name for name in cx.world.places}
        if wanted not in ids:
            raise AwsError("InvalidParameterValue", f"Invalid availability zone-id: [{wanted}]")
        zone = ids[wanted]
    if zone and zone not in cx.world.places:
        raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
    return zone


def user_data(given: str) -> tuple[str, bytes]:
    """User data as clean base64 and as bytes. Raises AwsError above 16 KiB."""
    try:
        data = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise AwsError("InvalidParameterValue", "Invalid BASE64 encoding of user data.") from None
    if len(data) > _USER_DATA:
        raise AwsError("InvalidParameterValue", "User data is limited to 16384 bytes")
    return base64.b64encode(data).decode(), data


def _demand_only(req: RunInstancesRequestTypeDef) -> None:
    """Refuse what would be ignored: options may say only what is the case."""
    said: Mapping[str, Any] = req
    for parameter, members in _ONLY.items():
        for member, value in said.get(parameter, {}).items():
            if member not in _FREE and value not in members.get(member, ()):
                raise AwsError("UnsupportedOperation", f"{parameter}.{member} cannot be {value} here.")


def _counts(req: RunInstancesRequestTypeDef) -> tuple[int, int]:
    least, most = req["MinCount"], req["MaxCount"]
    if least < 1 or most < least:
        raise AwsError("InvalidParameterValue", f"Invalid counts: minCount {least}, maxCount {most}.")
    if most > _MOST:
        raise AwsError("InstanceLimitExceeded", f"At most {_MOST} instances can be launched in one request.")
    if most > 1 and any(one.address or one.secondary or one.port for one in port_orders(req)):
        raise AwsError("InvalidParameterCombination", "An interface or a private address is for one instance only.")
    return least, most


def _launch(cx: Context, req: RunInstancesRequestTypeDef, text: str) -> Launch:
    options = req.get("MetadataOptions", {})
    shutdown = req.get("InstanceInitiatedShutdownBehavior", "stop")
    if shutdown not in ("stop", "terminate"):
        raise AwsError("InvalidParameterValue", f"Value ({shutdown}) for instanceInitiatedShutdownBehavior is invalid.")
    return Launch(
        key=req.get("KeyName", ""),
        user_data=text,
        termination_protected=req.get("DisableApiTermination", False),
        stop_protected=req.get("DisableApiStop", False),
        shutdown=shutdown,
        credits=_credits(req),
        monitored=req.get("Monitoring", {}).get("Enabled", False),
        ebs_optimized=req.get("EbsOptimized", False),
        profile=arn_of(cx, req.get("IamInstanceProfile", {})),
        **metadata_options(options),
        **market_options(req.get("InstanceMarketOptions", {})),
    )


def _credits(req: RunInstancesRequestTypeDef) -> str:
    """T2 instances begin with standard credits, later burstable ones with unlimited ones."""
    otherwise = "standard" if req.get("InstanceType", _DEFAULT_TYPE).startswith("t2.") else "unlimited"
    chosen = req.get("CreditSpecification", {}).get("CpuCredits", otherwise)
    if chosen not in _CREDITS:
        raise AwsError("InvalidParameterValue", f"Invalid value '{chosen}' for CpuCredits.")
    return chosen


def metadata_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Launch that metadata options name. Raises AwsError for a value EC2 does not know."""
    fields: dict[str, Any] = {}
    for member, (name, allowed) in _METADATA.items():
        if member not in options:
            continue
        if options[member] not in allowed:
            raise AwsError("InvalidParameterValue", f"Invalid value '{options[member]}' for {member}.")
        fields[name] = options[member]
    if options.get("HttpProtocolIpv6") == "enabled":
        raise AwsError("UnsupportedOperation", "The metadata service has an IPv4 address only.")
    return fields


_METADATA = {
    "HttpTokens": ("http_tokens", ("optional", "required")),
    "HttpEndpoint": ("http_endpoint", ("enabled", "disabled")),
    "HttpPutResponseHopLimit": ("hop_limit", range(1, 65)),
    "InstanceMetadataTags": ("metadata_tags", ("enabled", "disabled")),
}
