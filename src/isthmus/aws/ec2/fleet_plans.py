"""What CreateFleet asks for as the core takes it: pools to launch from, and shares of the capacity.

Everything costs nothing, so that of several pools none is the cheapest: they are tried in the order of the request, or
by their priorities where these are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from isthmus.aws.ec2.from_template import with_template
from isthmus.aws.ec2.launch import order_of, zone_of
from isthmus.aws.ec2.launch_templates import named
from isthmus.aws.ec2.market import price
from isthmus.aws.ec2.offerings import meeting
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import images, launching, networks, servers
from isthmus.core.fleets import Pool, Share
from isthmus.model import Flavor

FLEET_TAG = "aws:ec2:fleet-id"
_MOST_UNITS = 10_000
_MOST_OVERRIDES = 300
_MOST_LEAST = 1000
_INSTANT_OVERRIDES = ("KeyName", "BlockDeviceMappings", "IamInstanceProfile", "MetadataOptions", "ImageId")
_OVERRIDES = ("SubnetId", "Placement", *_INSTANT_OVERRIDES)
"""Members of an override that RunInstances has under the same names."""
_INSTANT_OPTIONS = ("SingleInstanceType", "SingleAvailabilityZone", "MinTargetCapacity")
_SPOT, _ON_DEMAND = "SpotOptions", "OnDemandOptions"
# strategy -> whether priorities count, and whether all pools share evenly
_STRATEGIES: Mapping[str, Mapping[str, tuple[bool, bool]]] = {
    _ON_DEMAND: {"lowest-price": (False, False), "prioritized": (True, False)},
    _SPOT: {
        "lowest-price": (False, False),
        "diversified": (False, True),
        "capacity-optimized": (False, False),
        "capacity-optimized-prioritized": (True, False),
        "price-capacity-optimized": (False, False),
    },
}
_OPTIONS_REFUSED = {
    "MaintenanceStrategies": "Nobody replaces instances in the background.",
    "CapacityReservationOptions": "No cloud sets capacity aside for a reservation.",
}


class Configuration(NamedTuple):
    """A launch template in one version, and what is said of it in the request."""

    template: str
    version: int
    said: Mapping[str, Any]

    @property
    def overrides(self) -> Sequence[Mapping[str, Any]]:
        given: Sequence[Mapping[str, Any]] = self.said.get("Overrides", ())
        return given

    @property
    def user_data(self) -> str:
        return str(self.said["LaunchTemplateSpecification"].get("LaunchTemplateSpecificationUserData", ""))


def configurations(cx: Context, req: Mapping[str, Any]) -> list[Configuration]:
    """What a fleet is launched from. Raises AwsError, and NotFound for a template that is not there."""
    found = []
    for given in req["LaunchTemplateConfigs"]:
        spec = given.get("LaunchTemplateSpecification", {})
        version = named(cx, spec)
        if not spec.get("Version"):
            raise AwsError("MissingParameter", "A launch template specification must contain the parameter Version")
        if req["Type"] != "instant" and spec.get("LaunchTemplateSpecificationUserData"):
            message = "LaunchTemplateSpecificationUserData is for instant fleets only."
            raise AwsError("InvalidParameterCombination", message)
        if version.data.get("InstanceMarketOptions", {}).get("MarketType") == "spot" and targets(req)[0]:
            message = "The launch template is for spot instances, and the fleet is to have others too."
            raise AwsError("InvalidParameterCombination", message)
        found.append(Configuration(version.template.id, version.number, given))
    if sum(max(len(one.overrides), 1) for one in found) > _MOST_OVERRIDES:
        raise AwsError("InvalidParameterValue", f"A fleet has at most {_MOST_OVERRIDES} overrides.")
    return found


def targets(req: Mapping[str, Any]) -> tuple[int, int]:
    """The capacity wanted on demand, and of spot instances."""
    said = req["TargetCapacitySpecification"]
    total, kind = said["TotalTargetCapacity"], said.get("DefaultTargetCapacityType", "on-demand")
    if kind not in ("spot", "on-demand"):
        raise AwsError("UnsupportedOperation", f"The capacity type {kind} is not supported: nothing is set aside.")
    if not 1 <= total <= _MOST_UNITS:
        raise AwsError("InvalidParameterValue", f"TotalTargetCapacity must be between 1 and {_MOST_UNITS}.")
    on_demand, spot = said.get("OnDemandTargetCapacity", 0), said.get("SpotTargetCapacity", 0)
    rest = total - on_demand - spot
    if min(on_demand, spot, rest) < 0:
        raise AwsError("InvalidParameterValue", "The target capacities are more than the total, or negative.")
    return (on_demand, spot + rest) if kind == "spot" else (on_demand + rest, spot)


def pools(cx: Context, req: Mapping[str, Any], made_of: Sequence[Configuration]) -> list[Pool]:
    """Everywhere a fleet may launch, in the order of the request."""
    found, offered = [], {zone: servers.flavors(cx, place.cloud) for zone, place in cx.world.places.items()}
    for number, one in enumerate(made_of):
        for place, override in enumerate(one.overrides) if one.overrides else [(-1, {})]:
            _demand_override(req, override)
            some = [
                Pool(number, place, name, zone, _weight(req, override, flavor))
                for name, flavor, zone in _offers(cx, one, override, offered)
            ]
            if not some:
                raise AwsError("InvalidParameterValue", "No instance type meets the InstanceRequirements.")
            found += some
    return found


def shares(req: Mapping[str, Any], found: Sequence[Pool]) -> list[Share]:
    """Capacity on demand first, then that of spot instances. Raises AwsError for options that are not to be had."""
    on_demand, spot = targets(req)
    wanted = [(_ON_DEMAND, on_demand), (_SPOT, spot)]
    both = [_share(req, found, options, target) for options, target in wanted]
    return [one for one in both if one.target]


def ordered(
    cx: Context, one: Configuration, pool: Pool, fleet: str, count: int, options: Mapping[str, Any] | None
) -> tuple[Context, Mapping[str, Any]]:
    """What RunInstances would be asked for instances of a pool; `options` are those of spot instances."""
    override = one.overrides[pool.override] if pool.override >= 0 else {}
    cx = replace(cx, tags={**cx.tags, "instance": {**cx.tags.get("instance", {}), FLEET_TAG: fleet}})
    cx, said = _overlaid(cx, one, override)
    placement = {**said.get("Placement", {}), "AvailabilityZoneId": cx.world.zone_id(pool.zone)}
    asked = {**said, "InstanceType": pool.flavor, "Placement": placement, "MinCount": 1, "MaxCount": count}
    return cx, asked if options is None else {**asked, "InstanceMarketOptions": _market(said, options, override)}


def _offers(
    cx: Context, one: Configuration, override: Mapping[str, Any], offered: Mapping[str, Mapping[str, Flavor]]
) -> Iterator[tuple[str, Flavor | None, str]]:
    """The types an override stands for and the zones where they are to be launched; `offered` are all, by zone."""
    _, said = _overlaid(cx, one, override)
    order = order_of(cx, {**said, "MinCount": 1, "MaxCount": 1})
    image, subnet = images.one_image(cx, order.image), launching.subnet_of(cx, order)
    zone = order.zone or (networks.place_of(cx, subnet).zone if subnet else "")
    fitting = [name for name, place in cx.world.places.items() if place.cloud == image.cloud]
    wanted = override.get("InstanceRequirements") or said.get("InstanceRequirements")
    if wanted and override.get("InstanceType"):
        message = "InstanceType and InstanceRequirements may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    if wanted:
        names = [one.name for one in meeting(cx, wanted) if one.architecture == image.noun.architecture]
    elif not (names := [said["InstanceType"]] if said.get("InstanceType") else []):
        raise AwsError("MissingParameter", "A fleet needs an instance type, of its template or of its overrides.")
    for name in names:
        where = [zone] if zone else [one for one in fitting if name in offered[one]]
        for each in where or fitting[:1]:
            yield name, offered[each].get(name), each


def _overlaid(cx: Context, one: Configuration, override: Mapping[str, Any]) -> tuple[Context, Mapping[str, Any]]:
    """A launch by a template with an override over it."""
    over: dict[str, Any] = {name: override[name] for name in _OVERRIDES if name in override}
    if override.get("InstanceType"):
        over["InstanceType"] = override["InstanceType"]
    if zone := zone_of(cx, override):
        over["Placement"] = {**over.get("Placement", {}), "AvailabilityZoneId": cx.world.zone_id(zone)}
    if one.user_data:
        over["UserData"] = one.user_data
    template = {"LaunchTemplateId": one.template, "Version": str(one.version)}
    cx, said = with_template(cx, {**over, "LaunchTemplate": template})
    if "SubnetId" in override and said.get("NetworkInterfaces"):
        first, *others = sorted(said["NetworkInterfaces"], key=lambda port: port.get("DeviceIndex", 0))
        ports = [{**first, "SubnetId": override["SubnetId"]}, *others]
        said = {name: value for name, value in said.items() if name != "SubnetId"} | {"NetworkInterfaces": ports}
    return cx, said


def _market(said: Mapping[str, Any], options: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """InstanceMarketOptions of a fleet's spot instances: those of the template, and the fleet's own over them."""
    below = said.get("InstanceMarketOptions", {}).get("SpotOptions", {})
    behavior, most = options.get("InstanceInterruptionBehavior"), override.get("MaxPrice")
    above = {"InstanceInterruptionBehavior": behavior, "MaxPrice": most}
    return {"MarketType": "spot", "SpotOptions": {**below, **{name: value for name, value in above.items() if value}}}


def _share(req: Mapping[str, Any], found: Sequence[Pool], name: str, target: int) -> Share:
    options: Mapping[str, Any] = req.get(name, {})
    _demand_options(req, name, options)
    strategy = options.get("AllocationStrategy", "lowest-price")
    if strategy not in _STRATEGIES[name]:
        raise AwsError("InvalidParameterValue", f"'{strategy}' is no allocation strategy of {name}.")
    by_priority, evenly = _STRATEGIES[name][strategy]
    some = options.get("InstancePoolsToUseCount", 1)
    if some != 1 and (strategy != "lowest-price" or some < 1):
        message = "InstancePoolsToUseCount is a positive number, and goes with the strategy lowest-price."
        raise AwsError("InvalidParameterCombination", message)
    numbers = list(range(len(found)))
    if by_priority:
        numbers.sort(key=lambda number: _priority(req, found[number]))
    spread = len(found) if evenly else some
    return Share(name == _SPOT, target, _groups(options, found, numbers), spread, options.get("MinTargetCapacity", 0))


def _groups(options: Mapping[str, Any], found: Sequence[Pool], numbers: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """The pools that may be used together."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number in numbers:
        flavor = found[number].flavor if options.get("SingleInstanceType") else ""
        zone = found[number].zone if options.get("SingleAvailabilityZone") else ""
        groups.setdefault((flavor, zone), []).append(number)
    return tuple(map(tuple, groups.values()))


def _priority(req: Mapping[str, Any], pool: Pool) -> float:
    overrides = req["LaunchTemplateConfigs"][pool.configuration].get("Overrides", ())
    return float(overrides[pool.override].get("Priority", math.inf)) if pool.override >= 0 else math.inf


def _weight(req: Mapping[str, Any], override: Mapping[str, Any], flavor: Flavor | None) -> float:
    unit = req["TargetCapacitySpecification"].get("TargetCapacityUnitType", "units")
    if unit != "units":
        if "InstanceRequirements" not in override or "WeightedCapacity" in override or flavor is None:
            message = "TargetCapacityUnitType goes with InstanceRequirements in each override, and without weights."
            raise AwsError("InvalidParameterCombination", message)
        return {"vcpu": flavor.cpus, "memory-mib": flavor.memory}[unit]
    weight = float(override.get("WeightedCapacity", 1))
    if not 0 < weight <= _MOST_UNITS:
        raise AwsError("InvalidParameterValue", f"Value ({weight}) for parameter weightedCapacity is invalid.")
    return weight


def _demand_override(req: Mapping[str, Any], override: Mapping[str, Any]) -> None:
    if override.get("AvailabilityZone") and override.get("AvailabilityZoneId"):
        message = "AvailabilityZone and AvailabilityZoneId may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    price(override.get("MaxPrice", ""))
    for name in _INSTANT_OVERRIDES if req["Type"] != "instant" else ():
        if name in override:
            raise AwsError("InvalidParameterCombination", f"{name} of an override is for instant fleets only.")


def _demand_options(req: Mapping[str, Any], name: str, options: Mapping[str, Any]) -> None:
    for member, reason in _OPTIONS_REFUSED.items():
        if options.get(member):
            raise AwsError("UnsupportedOperation", f"{name}.{member} is not supported. {reason}")
    for member in _INSTANT_OPTIONS if req["Type"] != "instant" else ():
        if options.get(member):
            raise AwsError("InvalidParameterCombination", f"{name}.{member} is for instant fleets only.")
    if options.get("InstanceInterruptionBehavior", "terminate") != "terminate":
        raise AwsError("UnsupportedOperation", "No spot instance is interrupted: the behavior is terminate.")
    price(options.get("MaxTotalPrice", ""))
    least = options.get("MinTargetCapacity", 0)
    if not 0 <= least <= _MOST_LEAST:
        raise AwsError("InvalidParameterValue", f"Value ({least}) for parameter minTargetCapacity is invalid.")
    if least and not (options.get("SingleInstanceType") or options.get("SingleAvailabilityZone")):
        message = "MinTargetCapacity goes with SingleInstanceType or SingleAvailabilityZone."
        raise AwsError("InvalidParameterCombination", message)
