"""What tests of every action need: the least that one must be asked, by the model, and all that an account has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from isthmus.aws.codec import Shape
from isthmus.aws.ec2 import ec2
from isthmus.aws.ec2.ids import FORMS

ABSENT = "0123456789abcdef0"
"""The digits of an id that nobody has."""
SPECIFIC = frozenset(
    {
        "DescribeFleetHistory",
        "DescribeFleetInstances",
        "DescribeLaunchTemplateVersions",
        "DescribeStaleSecurityGroups",
        "GetInstanceTypesFromInstanceRequirements",
        "GetSecurityGroupsForVpc",
    }
)
"""Listings that must be asked something, which the model does not say or which `least` cannot make."""
_TEXTS = {
    "blob": "c3NoLXJzYSBBQUFB",
    "boolean": "true",
    "integer": "1",
    "long": "1",
    "string": "x",
    "timestamp": "2099-01-01T00:00:00Z",
}


def served(member: str) -> list[str]:
    """The served actions whose request has this member."""
    return [name for name in sorted(ec2.actions) if ec2.codec.operations[name].has_member(member)]


def absent(shape: str) -> str:
    """A well-formed id that nobody has, or empty for a shape that is no id's."""
    form = FORMS.get(shape)
    prefix = form[0].partition("|")[0] if form else ""
    return f"{prefix if prefix.replace('-', '').isalpha() else 'i'}-{ABSENT}" if form else ""


def least(action: str) -> dict[str, str]:
    """Parameters with a value of the right form for every required member."""
    shape = ec2.codec.operations[action].input
    return dict(_required(shape, "")) if shape else {}


def _required(shape: Shape, prefix: str) -> Iterator[tuple[str, str]]:
    for name in sorted(shape.required):
        if known := absent(f"{shape.name}.{name}"):
            yield prefix + name, known
        else:
            yield from value(shape.members[name].shape, prefix + name)


def value(shape_name: str, path: str) -> Iterator[tuple[str, str]]:
    """Parameters that give a member of this shape a value."""
    shape = ec2.codec.shape(shape_name)
    if shape.type == "structure":
        inner = list(_required(shape, f"{path}."))
        first = next(iter(shape.members.values()))
        yield from inner or value(first.shape, f"{path}.{first.name}")
    elif shape.element is not None:
        yield from value(shape.element.shape, f"{path}.1")
    else:
        yield path, absent(shape_name) or (sorted(shape.enum)[0] if shape.enum else _TEXTS[shape.type])


def everything(house: Any, account: str = "") -> tuple[Any, ...]:
    """All that an account has, in the store and in the cloud."""
    account = account or house.account[0]
    session, view = house.cloud.session(account), house.store.view(account)
    return (
        dict(view.records),
        dict(view.tags),
        session.compute.list_servers(),
        session.volumes.list_volumes(),
        session.volumes.list_snapshots(),
        session.images.list_images(),
        session.networks.list_networks(),
        session.networks.list_subnets(),
        session.ports.list_ports(),
        [session.networks.wiring_of(one.native) for one in session.networks.list_networks()],
        session.firewalls.list_firewalls(),
        session.addresses.list_addresses(),
        session.keys.list_keys(),
    )
