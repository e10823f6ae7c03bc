"""Regions and availability zones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import addresses
from isthmus.core.servers import compute

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AvailabilityZoneTypeDef,
        DescribeAvailabilityZonesRequestTypeDef,
        DescribeRegionsRequestTypeDef,
        RegionTypeDef,
    )


@ec2.listing("DescribeRegions", key="RegionName")
def describe_regions(cx: Context, req: DescribeRegionsRequestTypeDef) -> Iterator[RegionTypeDef]:
    """AllRegions changes nothing: there is one."""
    name = cx.world.region
    for wanted in req.get("RegionNames", ()):
        if wanted != name:
            raise AwsError("InvalidParameterValue", f"Invalid region provided: {wanted}")
    yield {"RegionName": name, "Endpoint": cx.endpoint, "OptInStatus": "opt-in-not-required"}


@ec2.listing("DescribeAvailabilityZones", key="ZoneName")
def describe_availability_zones(
    cx: Context, req: DescribeAvailabilityZonesRequestTypeDef
) -> Iterator[AvailabilityZoneTypeDef]:
    """AllAvailabilityZones changes nothing: none is hidden."""
    names, ids = req.get("ZoneNames", ()), req.get("ZoneIds", ())
    for wanted in names:
        if wanted not in cx.world.places:
            raise AwsError("InvalidParameterValue", f"Invalid availability zone: [{wanted}]")
    for wanted in ids:
        if wanted not in {cx.world.zone_id(zone) for zone in cx.world.places}:
            raise AwsError("InvalidParameterValue", f"Invalid availability zone-id: [{wanted}]")
    for zone, place in cx.world.places.items():
        if (names and zone not in names) or (ids and cx.world.zone_id(zone) not in ids):
            continue
        here = {one.name: one.available for one in compute(cx.session(place.cloud)).list_zones()}
        yield {
            "ZoneName": zone,
            "ZoneId": cx.world.zone_id(zone),
            "State": "available" if here.get(place.native, False) else "unavailable",
            "RegionName": cx.world.region,
            "GroupName": cx.world.region,
            "NetworkBorderGroup": addresses.border(cx, place),
            "ZoneType": "availability-zone",
            "OptInStatus": "opt-in-not-required",
            "Messages": [],
        }
