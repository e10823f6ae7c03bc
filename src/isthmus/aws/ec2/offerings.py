"""Where instance types are offered, which of them meet requirements, and what they cost: nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.launch import zone_of
from isthmus.aws.ec2.types import render
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import servers
from isthmus.model import Flavor

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeInstanceTypeOfferingsRequestTypeDef,
        DescribeSpotPriceHistoryRequestTypeDef,
        GetInstanceTypesFromInstanceRequirementsRequestTypeDef,
    )

FREE = "0.000000"
"""The price of everything."""
_PRODUCTS = ("Linux/UNIX", "Windows")
_LOCATIONS = ("region", "availability-zone", "availability-zone-id", "outpost")
# what no type here has: whoever requires it gets none. A range requires it if its least is above 0.
_NONE_HAS = (
    "AcceleratorManufacturers",
    "AcceleratorNames",
    "AcceleratorTypes",
    "RequireEncryptionInTransit",
    "RequireHibernateSupport",
)
_NONE_HAS_ANY = (
    "AcceleratorCount",
    "AcceleratorTotalMemoryMiB",
    "BaselineEbsBandwidthMbps",
    "NetworkBandwidthGbps",
    "TotalLocalStorageGB",
)
_UNTOLD = ("CpuManufacturers", "BaselinePerformanceFactors")
# requirement -> what stands for its absence, and whether a type has it, by the type as it is described
_MAY: Mapping[str, tuple[str, str]] = {
    "BareMetal": ("excluded", "BareMetal"),
    "BurstablePerformance": ("excluded", "BurstablePerformanceSupported"),
    "LocalStorage": ("included", "InstanceStorageSupported"),
}
_GENERATIONS = {True: "current", False: "previous"}
_Range = Mapping[str, float]


@ec2.listing("DescribeInstanceTypeOfferings", key=("InstanceType", "Location"))
def describe_instance_type_offerings(
    cx: Context, req: DescribeInstanceTypeOfferingsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    kind = req.get("LocationType", "region")
    if kind not in _LOCATIONS:
        raise AwsError("InvalidParameterValue", f"Value ({kind}) for parameter locationType is invalid.")
    if kind == "outpost":
        return
    places = {
        "region": lambda zone: cx.world.region,
        "availability-zone": lambda zone: zone,
        "availability-zone-id": cx.world.zone_id,
    }
    offered = {(name, places[kind](zone)) for zone in cx.world.places for name in _flavors(cx, zone)}
    for name, location in offered:
        yield {"InstanceType": name, "LocationType": kind, "Location": location}


@ec2.listing("GetInstanceTypesFromInstanceRequirements", key="InstanceType")
def get_instance_types_from_instance_requirements(
    cx: Context, req: GetInstanceTypesFromInstanceRequirementsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    if req.get("Context"):
        raise AwsError("UnsupportedOperation", "The parameter Context is not supported. It is reserved by AWS.")
    if "hvm" not in req["VirtualizationTypes"]:
        return iter(())
    found = meeting(cx, req["InstanceRequirements"])
    return ({"InstanceType": one.name} for one in found if one.architecture in req["ArchitectureTypes"])


@ec2.listing("DescribeSpotPriceHistory", key=("InstanceType", "AvailabilityZone", "ProductDescription"))
def describe_spot_price_history(
    cx: Context, req: DescribeSpotPriceHistoryRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """The price has never changed, so that it is that of StartTime and EndTime too: told as of the day's begin."""
    wanted, products = req.get("InstanceTypes", ()), req.get("ProductDescriptions", ())
    only = zone_of(cx, req)
    told: Any = req.get("StartTime") or req.get("EndTime") or cx.now()
    day = told.replace(hour=0, minute=0, second=0, microsecond=0)
    for zone in [only] if only else cx.world.places:
        for name in _flavors(cx, zone):
            for product in _PRODUCTS:
                if (wanted and name not in wanted) or (products and product not in products):
                    continue
                yield {
                    "InstanceType": name,
                    "AvailabilityZone": zone,
                    "AvailabilityZoneId": cx.world.zone_id(zone),
                    "ProductDescription": product,
                    "SpotPrice": FREE,
                    "Timestamp": day,
                }


def meeting(cx: Context, wanted: Mapping[str, Any]) -> list[Flavor]:
    """The flavors that meet an InstanceRequirements, the smallest first. Prices are all 0: none is too high."""
    for name in _UNTOLD:
        if wanted.get(name):
            raise AwsError("UnsupportedOperation", f"InstanceRequirements.{name}: it is not known of processors here.")
    if wanted.get("AllowedInstanceTypes") and wanted.get("ExcludedInstanceTypes"):
        message = "AllowedInstanceTypes and ExcludedInstanceTypes may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    if any(wanted.get(name) for name in _NONE_HAS):
        return []
    if any(wanted.get(name, {}).get("Min", 0) > 0 for name in _NONE_HAS_ANY):
        return []
    known = {name: one for zone in cx.world.places for name, one in _flavors(cx, zone).items()}
    found = [one for one in known.values() if _meets(cx, one, wanted)]
    return sorted(found, key=lambda one: (one.cpus, one.memory, one.name))


def _meets(cx: Context, flavor: Flavor, wanted: Mapping[str, Any]) -> bool:
    said = render(cx, flavor)
    ranges: Mapping[str, float] = {
        "VCpuCount": flavor.cpus,
        "MemoryMiB": flavor.memory,
        "MemoryGiBPerVCpu": flavor.memory / 1024 / flavor.cpus,
        "NetworkInterfaceCount": said["NetworkInfo"]["MaximumNetworkInterfaces"],
    }
    allowed, excluded = wanted.get("AllowedInstanceTypes"), wanted.get("ExcludedInstanceTypes", ())
    generations = wanted.get("InstanceGenerations")
    return (
        all(_within(value, wanted.get(name, {})) for name, value in ranges.items())
        and all(_may(wanted.get(name, usual), said[member]) for name, (usual, member) in _MAY.items())
        and (not allowed or _any(flavor.name, allowed))
        and not _any(flavor.name, excluded)
        and (not generations or _GENERATIONS[said["CurrentGeneration"]] in generations)
    )


def _within(value: float, bounds: _Range) -> bool:
    return bounds.get("Min", 0) <= value <= bounds.get("Max", value)


def _may(word: str, has: bool) -> bool:
    return word == "included" or has == (word == "required")


def _any(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _flavors(cx: Context, zone: str) -> Mapping[str, Flavor]:
    return servers.flavors(cx, cx.world.places[zone].cloud)
