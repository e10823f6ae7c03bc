"""Where the requests of all actions name things, and how they name one that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from least import ABSENT, least

from isthmus.aws.codec import Shape
from isthmus.aws.ec2 import ec2 as service
from isthmus.aws.ec2.ids import FORMS, LATER

_NAMES = {"SecurityGroupName": "groupname", "KeyPairName": "keyname", "EipAllocationPublicIp": "number"}
"""Things that are told by a name: nobody's name is another one's."""


@dataclass(frozen=True)
class Place:
    """Where a request names a thing: the parameter, and the prefix of its id."""

    action: str
    parameter: str
    prefix: str
    code: str


def _places() -> Iterator[Place]:
    for action in sorted(service.actions):
        if shape := service.codec.operations[action].input:
            yield from _within(action, shape, "", 0)


def _within(action: str, shape: Shape, path: str, depth: int) -> Iterator[Place]:
    members = [shape.element] if shape.element else shape.members.values()
    for member in members:
        here = f"{path}.{member.name or 1}".lstrip(".")
        form = FORMS.get(member.shape) or FORMS.get(f"{shape.name}.{member.name}")
        if form:
            code = "" if f"{shape.name}.{member.name}" in LATER else form[1]
            yield from (Place(action, here, prefix, code) for prefix in _PREFIXES.get(member.shape, form[0].split("|")))
        elif member.shape in _NAMES:
            yield Place(action, here, _NAMES[member.shape], "")
        elif member.type_name in ("structure", "list") and member.name != "Filters" and depth < 5:
            yield from _within(action, service.codec.shape(member.shape), here, depth + 1)


TAGGABLE = (
    *("i", "vol", "snap", "ami", "sg", "sgr", "eipalloc", "key", "lt", "pg", "sir", "cr"),
    *("vpc", "subnet", "eni", "rtb", "igw", "acl", "dopt", "nat", "eigw", "pcx", "vpce"),
    *("vgw", "cgw", "vpn", "fleet"),
)
_PREFIXES = {"TaggableResourceId": TAGGABLE, "InternetGatewayId": ("igw",)}
"""Shapes of ids of which more is well formed than there can be."""
PLACES = list(_places())
EACH = {"DeleteVpcEndpoints": "NotFound", "DeleteFleets": "fleetIdDoesNotExist"}
"""Actions that say of each thing by itself that it is not there, with how they say it."""


def unknown(prefix: str) -> str:
    return {"groupname": "no such group", "keyname": "no such key", "number": "203.0.113.254"}.get(
        prefix, f"{prefix}-{ABSENT}"
    )


def own(mine: dict[str, str], action: str) -> dict[str, str]:
    """The least request, about things of one's own."""
    params = least(action)
    for place in PLACES:
        if place.action == action and place.parameter in params:
            params[place.parameter] = mine.get(place.prefix, params[place.parameter])
    return {**params, **_GOOD.get(action, {})}


_GOOD = {
    "DescribeImageAttribute": {"Attribute": "description"},
    "ModifyImageAttribute": {"Description.Value": "x"},
    "ResetInstanceAttribute": {"Attribute": "sourceDestCheck"},
    "AttachVolume": {"Device": "/dev/sdf"},
    "CreateFleet": {"Type": "instant"},
    "CreateVpnConnection": {"Type": "ipsec.1"},
}
