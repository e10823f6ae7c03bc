"""EC2 Fleets of the types instant and request: fulfilled at once as far as they can be, and never replenished."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2 import fleet_plans
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Look
from isthmus.aws.ec2.faults import say
from isthmus.aws.ec2.fleet_plans import Configuration
from isthmus.aws.ec2.launch import launch
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import fleets, instances
from isthmus.core.fleets import Fleet, Pool, Share, Tried
from isthmus.errors import Broken, Conflict, Fault, Invalid, NotFound

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateFleetRequestTypeDef,
        DeleteFleetsRequestTypeDef,
        DescribeFleetsRequestTypeDef,
    )

_TYPES = ("instant", "request")
_LAUNCHED_TAGS = ("instance", "volume", "network-interface")
_MOST = {"instant": 25, "request": 100}
"""How many fleets may be deleted in one request."""
_BACKGROUND = "Nobody launches, replaces or ends instances in the background"
_LIFECYCLES = {True: "spot", False: "on-demand"}
_DELETE_ERRORS = {NotFound: "fleetIdDoesNotExist", Conflict: "fleetNotInDeletableState"}
# what an override is told again by
_OVERRIDES = (
    *("MaxPrice", "SubnetId", "WeightedCapacity", "Priority", "InstanceRequirements", "ImageId"),
    *("InstanceType", "AvailabilityZone", "AvailabilityZoneId", "BlockDeviceMappings"),
)
_TEMPLATE = ("LaunchTemplateId", "LaunchTemplateName", "Version")


@ec2.action(
    "CreateFleet",
    makes=["fleet", *_LAUNCHED_TAGS],
    refuses={
        "Context": "It is reserved by AWS.",
        "ReservedCapacityOptions": "No cloud sets capacity aside.",
        "ReplaceUnhealthyInstances": f"{_BACKGROUND}.",
        "TerminateInstancesWithExpiration": f"{_BACKGROUND}.",
        "ValidFrom": "Fleets are fulfilled at once.",
    },
)
def create_fleet(cx: Context, req: CreateFleetRequestTypeDef) -> Mapping[str, Any]:
    """ExcessCapacityTerminationPolicy is kept and changes nothing: a fleet's target cannot become smaller."""
    kind, until = req.get("Type", "maintain"), req.get("ValidUntil")
    if kind not in _TYPES:
        raise AwsError("UnsupportedOperation", f"{_BACKGROUND}: a fleet's type is instant or request, not {kind}.")
    if isinstance(until, datetime) and until <= cx.now():
        raise AwsError("InvalidParameterValue", "ValidUntil must be in the future.")
    if kind != "instant" and set(cx.tags) - {"fleet"}:
        message = "Instances of a fleet of this type are tagged by its launch template."
        raise AwsError("InvalidParameterCombination", message)
    made = fleets.create(cx, _data(cx, req, until), cx.tags.get("fleet", {}))
    done = fleets.fulfil(cx, made, _attempt)
    _demand_answer(cx, done)
    return {"FleetId": done.kept.id, **(_outcome(cx, done, subnets=True) if kind == "instant" else {})}


@ec2.listing("DescribeFleets", key="FleetId")
def describe_fleets(cx: Context, req: DescribeFleetsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    """Instant fleets only where they are asked for by their ids, as AWS does."""
    wanted = req.get("FleetIds")
    return (render(cx, one) for one in fleets.find(cx, wanted) if wanted or not one.kept.data["once"])


@ec2.action("DeleteFleets")
def delete_fleets(cx: Context, req: DeleteFleetsRequestTypeDef) -> Mapping[str, Any]:
    """Each by itself. Raises AwsError, before any is deleted, for too many and for instant ones that would live on."""
    ids, terminate = list(dict.fromkeys(req["FleetIds"])), req["TerminateInstances"]
    found = [one.kept.data["said"]["Type"] for one in fleets.find(cx) if one.kept.id in ids]
    for kind, most in _MOST.items():
        if found.count(kind) > most:
            raise AwsError("InvalidParameterValue", f"At most {most} {kind} fleets can be deleted at once.")
    if "instant" in found and not terminate:
        raise AwsError("UnsupportedOperation", "The instances of an instant fleet are terminated with it.")
    done, kept = [], []
    for one in ids:
        try:
            before, after = fleets.delete(cx, one, terminate=terminate)
        except Fault as fault:
            error = {"Code": _DELETE_ERRORS.get(type(fault), "unexpectedError"), "Message": say(cx, fault).message}
            kept.append({"FleetId": one, "Error": error})
        else:
            done.append({"FleetId": one, "PreviousFleetState": before.state, "CurrentFleetState": after.state})
    return {"SuccessfulFleetDeletions": done, "UnsuccessfulFleetDeletions": kept}


def render(cx: Context, fleet: Fleet) -> dict[str, Any]:
    """A FleetData of the model; what its filters call otherwise stands under names with a `_`."""
    data, said = fleet.kept.data, fleet.kept.data["said"]
    activity, policy = _activity(fleet), said.get("ExcessCapacityTerminationPolicy", "termination")
    on_demand, spot = fleet_plans.targets(said)
    capacity = {"DefaultTargetCapacityType": "on-demand", **said["TargetCapacitySpecification"]}
    optional = {
        "ClientToken": data["token"],
        "SpotOptions": said.get("SpotOptions"),
        "OnDemandOptions": said.get("OnDemandOptions"),
        "ValidUntil": datetime.fromisoformat(data["until"]) if data["until"] else None,
    }
    return {
        "_ActivityStatus": [activity, activity.replace("_", "-")],
        "_FleetState": [fleet.state, fleet.state.replace("_", "-")],
        "_TerminatesExcess": policy == "termination",
        "FleetId": fleet.kept.id,
        "FleetState": fleet.state,
        "ActivityStatus": activity,
        "CreateTime": fleet.kept.created,
        "Type": said["Type"],
        "ExcessCapacityTerminationPolicy": policy,
        "FulfilledCapacity": fleet.capacity(),
        "FulfilledOnDemandCapacity": fleet.capacity(on_demand=True),
        "LaunchTemplateConfigs": [_config(one) for one in said["LaunchTemplateConfigs"]],
        "TargetCapacitySpecification": {**capacity, "OnDemandTargetCapacity": on_demand, "SpotTargetCapacity": spot},
        "TerminateInstancesWithExpiration": False,
        "ReplaceUnhealthyInstances": False,
        "Tags": tag_set(fleet.kept.tags),
        **{name: value for name, value in optional.items() if value},
        **(_outcome(cx, fleet) if data["once"] else {}),
    }


def _data(cx: Context, req: Mapping[str, Any], until: Any) -> Mapping[str, Any]:
    """What is kept of a fleet: what was said, and what it means as of now."""
    made_of = fleet_plans.configurations(cx, req)
    found = fleet_plans.pools(cx, req, made_of)
    return {
        "said": {name: value for name, value in req.items() if name != "ValidUntil"},
        "token": cx.token,
        "until": until.isoformat() if until else "",
        "once": req["Type"] == "instant",
        "templates": [(one.template, one.version) for one in made_of],
        "pools": [asdict(one) for one in found],
        "shares": [asdict(one) for one in fleet_plans.shares(req, found)],
    }


def _attempt(cx: Context, fleet: Fleet, pool: Pool, share: Share, count: int) -> Tried:
    data, place = fleet.kept.data, pool.configuration
    template, version = data["templates"][place]
    one = Configuration(template, version, data["said"]["LaunchTemplateConfigs"][place])
    options = data["said"].get("SpotOptions", {}) if share.spot else None
    try:
        tagged, asked = fleet_plans.ordered(cx, one, pool, fleet.kept.id, count, options)
        launched = launch(tagged, asked, fleet=fleet.kept.id, weight=pool.weight)
    except Broken:
        raise
    except AwsError as error:
        return Tried([], (error.code, error.message))
    except Fault as fault:
        return Tried([], _why(cx, fault, pool))
    return Tried(launched.instances, _why(cx, launched.short, pool) if launched.short else None)


def _why(cx: Context, fault: Fault, pool: Pool) -> tuple[str, str]:
    if isinstance(fault, Invalid) and fault.field == "flavor":
        return "InvalidFleetConfiguration", f"The instance type {pool.flavor} is not offered in the zone {pool.zone}."
    error = say(cx, fault)
    return error.code, error.message


def _demand_answer(cx: Context, fleet: Fleet) -> None:
    """Raises AwsError, to be tried again, for a fleet that has nothing because its clouds did not answer."""
    errors = [step["error"] for step in fleet.steps if step["error"]]
    if not any(step["made"] for step in fleet.steps):
        for code, message in errors:
            if code == "Unavailable":
                fleets.drop(cx, fleet.kept.id)
                raise AwsError(code, message)


def _activity(fleet: Fleet) -> str:
    if fleet.state == "deleted_terminating":
        return "pending_termination"
    if fleet.state == "submitted":
        return "pending_fulfillment"
    if fleet.kept.data["once"] or not any(step["error"] for step in fleet.steps):
        return "fulfilled"
    found = fleets.pools(fleet)
    got = sum(len(step["made"]) * found[step["pool"]].weight for step in fleet.steps if not step.get("undone"))
    return "fulfilled" if got >= sum(one.target for one in fleets.shares(fleet)) else "error"


def _outcome(cx: Context, fleet: Fleet, *, subnets: bool = False) -> dict[str, Any]:
    """What an instant fleet launched and what it could not, pool by pool."""
    look, known, found = Look(cx), instances.index(cx).by_id, fleets.pools(fleet)
    made, errors = [], []
    for step in fleet.steps:
        pool = found[step["pool"]]
        said = {
            "LaunchTemplateAndOverrides": _from(cx, fleet, pool),
            "Lifecycle": _LIFECYCLES[step["spot"]],
        }
        if step["error"]:
            code, message = step["error"]
            errors.append({**said, "ErrorCode": code, "ErrorMessage": message})
        if step.get("undone"):
            message = "The minimum target capacity could not be reached, so that nothing was launched."
            errors.append({**said, "ErrorCode": "UnfulfillableCapacity", "ErrorMessage": message})
        elif step["made"]:
            face = look.face(known[step["made"][0]]) if step["made"][0] in known else None
            place = {"AvailabilityZone": pool.zone, "AvailabilityZoneId": cx.world.zone_id(pool.zone)}
            where = {**place, "SubnetId": face.subnet} if subnets and face else {}
            platform = {"Platform": "Windows"} if face and face.server.platform else {}
            made.append({**said, "InstanceIds": step["made"], "InstanceType": pool.flavor, **where, **platform})
    return {"Instances": made, "Errors": errors}


def _from(cx: Context, fleet: Fleet, pool: Pool) -> dict[str, Any]:
    """A LaunchTemplateAndOverridesResponse: what was said, and the type and zone it came to."""
    config = fleet.kept.data["said"]["LaunchTemplateConfigs"][pool.configuration]
    override = config["Overrides"][pool.override] if pool.override >= 0 else {}
    said = {
        **_override(override),
        "InstanceType": pool.flavor,
        "AvailabilityZone": pool.zone,
        "AvailabilityZoneId": cx.world.zone_id(pool.zone),
    }
    return {"LaunchTemplateSpecification": _template(config), "Overrides": said}


def _config(config: Mapping[str, Any]) -> dict[str, Any]:
    overrides: Sequence[Mapping[str, Any]] = config.get("Overrides", ())
    return {"LaunchTemplateSpecification": _template(config), "Overrides": [_override(one) for one in overrides]}


def _template(config: Mapping[str, Any]) -> dict[str, Any]:
    spec = config["LaunchTemplateSpecification"]
    return {name: spec[name] for name in _TEMPLATE if name in spec}


def _override(override: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: override[name] for name in _OVERRIDES if name in override}
    group = override.get("Placement", {}).get("GroupName")
    return {**said, "Placement": {"GroupName": group}} if group else said
