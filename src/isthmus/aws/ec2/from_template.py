"""RunInstances from a launch template: what the request says lies over what the template says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from isthmus.aws.ec2.launch_templates import TAGGED, named, thawed
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tags_of
from isthmus.context import Context

# a template's names for what RunInstances calls otherwise
_NAMES = {"RamDiskId": "RamdiskId", "ElasticGpuSpecifications": "ElasticGpuSpecification"}
_GROUPS = frozenset({"SecurityGroupIds", "SecurityGroups"})


def with_template(cx: Context, req: Mapping[str, Any]) -> tuple[Context, Mapping[str, Any]]:
    """A launch without its template: the template's parameters and tags, and those of the request over them.

    Structures are laid over each other member by member, disks by device; other lists replace. The version's
    number is resolved here and now, and stands in the instances' tags.
    """
    if not req.get("LaunchTemplate"):
        return cx, req
    version = named(cx, req["LaunchTemplate"])
    said = {_NAMES.get(name, name): value for name, value in thawed(version.data).items()}
    own = tags_of(said.pop("TagSpecifications", ()), TAGGED)
    tags = {kind: {**own.get(kind, {}), **cx.tags.get(kind, {})} for kind in {*own, *cx.tags, "instance"}}
    tags["instance"]["aws:ec2launchtemplate:id"] = version.template.id
    tags["instance"]["aws:ec2launchtemplate:version"] = str(version.number)
    asked = {name: value for name, value in req.items() if name != "LaunchTemplate"}
    return replace(cx, tags=tags), laid_over(said, asked)


def laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    """One set of launch parameters with another over it."""
    hidden = _GROUPS if _GROUPS & above.keys() else frozenset()
    if "InstanceType" in above:
        hidden |= {"InstanceRequirements"}
    both = {name: value for name, value in below.items() if name not in hidden}
    for name, value in above.items():
        both[name] = _both(name, both[name], value) if name in both else value
    return both


def _both(name: str, below: Any, above: Any) -> Any:
    if name == "BlockDeviceMappings":
        return _disks(below, above)
    return {**below, **above} if isinstance(above, Mapping) else above


def _disks(below: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Disks by device; what is said of a disk above goes over what is said of it below."""
    disks = {one.get("DeviceName", ""): one for one in below}
    for one in above:
        device = one.get("DeviceName", "")
        held = disks.get(device, {})
        if "NoDevice" in one or "NoDevice" in held:
            disks[device] = one
            continue
        ebs = {**held.get("Ebs", {}), **one.get("Ebs", {})}
        disks[device] = {**held, **one, "Ebs": ebs} if ebs else {**held, **one}
    return list(disks.values())


def demand_type(req: Mapping[str, Any]) -> None:
    """RunInstances takes a type, not requirements: choosing by these is for fleets."""
    if req.get("InstanceRequirements"):
        message = "A template with InstanceRequirements launches by CreateFleet, or with an InstanceType."
        raise AwsError("UnsupportedOperation", message)
