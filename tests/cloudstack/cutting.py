"""The end of an Isthmus' process before or after any call that it makes to CloudStack, and any of its own writes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
from botocore.exceptions import ClientError
from emulated_cloudstack import Around, Isthmus
from emulators.cloudstack.contract import commands
from emulators.cloudstack.world import World
from tampering import Crash, Fuse, TamperedStore

from isthmus.aws.front import Front
from isthmus.providers.cloudstack.client import Wire
from isthmus.providers.cloudstack.signing import Keys
from isthmus.providers.cloudstack.snapshots import IMAGE


class CutWire(Around):
    """Before a call that changes something is a moment, and another is after it, when its answer is lost."""

    def __init__(self, whole: Wire, fuse: Fuse) -> None:
        super().__init__(whole)
        self._fuse = fuse

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:
        if self._fuse.blown:
            raise Crash
        if not commands()[params["command"].lower()].changes:
            return super().post(keys, params)
        self._fuse.burn()
        answer = super().post(keys, params)
        self._fuse.burn()
        return answer


def cut_off(isthmus: Isthmus, moment: int, act: Callable[[], object]) -> bool:
    """Whether the process died at this moment of what it did; a new one has taken over then, and looked at its records.

    What CloudStack had begun comes to its end meanwhile.
    """
    fuse = Fuse(moment)
    cloud = isthmus.real.begin_again()
    cloud._wire = CutWire(cloud._wire, fuse)
    isthmus.front = Front(replace(isthmus.new_world(), store=TamperedStore(isthmus.store, fuse)))
    with suppress(Crash):
        act()
    isthmus.real.begin_again()
    isthmus.world = isthmus.new_world()
    isthmus.front = Front(isthmus.world)
    isthmus.real.settle()
    isthmus.mend()
    return fuse.blown


_OURS = re.compile(r"\b([a-z]+)-[0-9a-f]{17}\b")
_OTHERS = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16}\b|(\d+\.){3}\d+|ip(-\d+){4}|(..:){5}.."
    r"|\d{4}-\d\d-\d\d[T ][\d:.+]+|\"since\\?\":[\d.]+"
)
"""Ids of CloudStack's and of its groups, addresses, names by them, and times."""
_LISTS = {
    "Reservations": "describe_instances",
    "Volumes": "describe_volumes",
    "Snapshots": "describe_snapshots",
    "Addresses": "describe_addresses",
    "SecurityGroups": "describe_security_groups",
    "Subnets": "describe_subnets",
    "Vpcs": "describe_vpcs",
    "InternetGateways": "describe_internet_gateways",
    "NetworkInterfaces": "describe_network_interfaces",
    "RouteTables": "describe_route_tables",
    "KeyPairs": "describe_key_pairs",
}


def told(ec2: Any) -> Counter[str]:
    """All that an account is told, without ids, addresses and times."""
    found = {key: getattr(ec2, action)()[key] for key, action in _LISTS.items()}
    for made in found["Reservations"]:
        made["Instances"] = [one for one in made["Instances"] if one["State"]["Name"] != "terminated"]
    found["Reservations"] = [one for made in found["Reservations"] for one in made["Instances"]]
    found["Images"] = ec2.describe_images(Owners=["self"])["Images"]
    return _counted(found)


def there(world: World) -> Counter[str]:
    """All that CloudStack has, without ids, addresses and times.

    What the next change takes away, or the next reader leaves alone, makes no difference: a list of filters of no tier,
    and at a snapshot for which image it was taken.
    """
    kept = {kind: [item for _, item in things.values()] for kind, things in world.things.items() if kind != "rule"}
    kept["machine"] = [one for one in kept.get("machine", ()) if one["state"] != "Destroyed"]
    kept["volume"] = [one for one in kept.get("volume", ()) if one["state"] != "Destroy"]
    used = {one.get("aclid") for one in kept.get("network", ())}
    kept["acllist"] = [one for one in kept.get("acllist", ()) if one["id"] in used]
    kept["aclitem"] = [one for one in kept.get("aclitem", ()) if one["aclid"] in used]
    kept["snapshot"] = [
        {**one, "tags": [tag for tag in one["tags"] if tag["key"] != IMAGE]} for one in kept.get("snapshot", ())
    ]
    return _counted(kept)


def demand(wanted: Counter[str], found: Counter[str], when: str, loose: Collection[str] = ()) -> None:
    """The same, but for kinds that are loose: else it is said what is only in one, of similar things what differs."""
    for each in (wanted, found) if loose else ():
        for one in [one for one in each if one.split()[0] in loose]:
            del each[one]
    lacking, more = list((wanted - found).elements()), list((found - wanted).elements())
    told = [when]
    for one in lacking:
        other = next((each for each in more if each.split()[0] == one.split()[0]), "")
        if other:
            more.remove(other)
        parts = one.split(", "), other.split(", ")
        told.append(f"lacks {one.split()[0]} {[each for each in parts[0] if each not in parts[1]]}")
        told += [f"which has {[each for each in parts[1] if each not in parts[0]]}"] if other else []
    assert wanted == found, "\n".join([*told, *(f"has {one}" for one in more)])


def _counted(kinds: Mapping[str, Iterable[Any]]) -> Counter[str]:
    return Counter(f"{kind} {plain(thing)}" for kind, things in kinds.items() for thing in things)


def plain(thing: Any) -> str:
    return json.dumps(_plain(thing), sort_keys=True)


def _plain(thing: Any) -> Any:
    """Lists in one order, whatever that of the ids was."""
    if isinstance(thing, dict):
        return {key: _plain(value) for key, value in thing.items()}
    if isinstance(thing, list):
        return sorted(map(_plain, thing), key=lambda one: json.dumps(one, sort_keys=True))
    if isinstance(thing, int) or thing is None:
        return thing
    return _OTHERS.sub("#", _OURS.sub(r"\1", str(thing)))


def sweep(isthmus: Isthmus, ec2: Any) -> None:
    """Delete all that an account is told of."""

    def each(listed: str, key: str, name: str, delete: str, **said: Any) -> None:
        for one in getattr(ec2, listed)(**said)[key]:
            with suppress(ClientError):
                getattr(ec2, delete)(**{name: one[name]})
        isthmus.real.settle()

    known = [one["InstanceId"] for made in ec2.describe_instances()["Reservations"] for one in made["Instances"]]
    if known:
        ec2.terminate_instances(InstanceIds=known)
        isthmus.real.settle()
        isthmus.emulated.expunge(isthmus.emulated.now())
    for one in ec2.describe_addresses()["Addresses"]:
        if "AssociationId" in one:
            ec2.disassociate_address(AssociationId=one["AssociationId"])
    each("describe_images", "Images", "ImageId", "deregister_image", Owners=["self"])
    each("describe_snapshots", "Snapshots", "SnapshotId", "delete_snapshot", OwnerIds=["self"])
    each("describe_volumes", "Volumes", "VolumeId", "delete_volume")
    if not isthmus.emulated.with_groups:
        each("describe_addresses", "Addresses", "AllocationId", "release_address")
    each("describe_key_pairs", "KeyPairs", "KeyName", "delete_key_pair")
    for _ in range(2):  # groups that name each other
        each("describe_security_groups", "SecurityGroups", "GroupId", "delete_security_group")
    each("describe_subnets", "Subnets", "SubnetId", "delete_subnet")
    for one in ec2.describe_internet_gateways()["InternetGateways"]:
        for at in one["Attachments"]:
            with suppress(ClientError):
                ec2.detach_internet_gateway(InternetGatewayId=one["InternetGatewayId"], VpcId=at["VpcId"])
    each("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "delete_internet_gateway")
    each("describe_vpcs", "Vpcs", "VpcId", "delete_vpc")
