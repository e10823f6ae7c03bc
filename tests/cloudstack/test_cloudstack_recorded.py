"""What real CloudStacks once answered, as others recorded it, is understood: lists, results of jobs, and refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from isthmus.providers.cloudstack.client import Client, Item, Wire
from isthmus.providers.cloudstack.cloud import CloudStack, CloudStackSession, Options
from isthmus.providers.cloudstack.credentials import Owner
from isthmus.providers.cloudstack.signing import Keys
from isthmus.providers.cloudstack.tenant import Offers, Tenant

ANSWERS: Mapping[str, Mapping[str, Item]] = json.loads(
    gzip.decompress((Path(__file__).parent / "recorded" / "answers.json.gz").read_bytes())
)
LISTS: Mapping[str, tuple[str, Callable[[CloudStackSession], Sequence[Any]]]] = {
    "listserviceofferings": ("serviceoffering", lambda session: session.compute.list_flavors()),
    "listvirtualmachines": ("virtualmachine", lambda session: session.compute.list_servers()),
    "listvolumes": ("volume", lambda session: session.volumes.list_volumes()),
    "listsnapshots": ("snapshot", lambda session: session.volumes.list_snapshots()),
    "listtemplates": ("template", lambda session: session.images.list_images()),
    "listsshkeypairs": ("sshkeypair", lambda session: session.keys.list_keys()),
    "listsecuritygroups": ("securitygroup", lambda session: session.firewalls.list_firewalls()),  # type: ignore[union-attr]
}
REFUSALS: Mapping[str, type[Fault]] = {
    "ec2stack/invalid_attach_volume_instance_not_found": NotFound,
    "ec2stack/invalid_attach_volume_volume_attached": Conflict,
    "ec2stack/invalid_attach_volume_volume_not_found": NotFound,
    "ec2stack/invalid_authorize_security_group_egress": Invalid,
    "ec2stack/invalid_authorize_security_group_egress_duplicate": Conflict,
    "ec2stack/invalid_authorize_security_group_ingress": Invalid,
    "ec2stack/invalid_authorize_security_group_ingress_duplicate": Conflict,
    "ec2stack/invalid_create_keypair_duplicate": Conflict,
    "ec2stack/invalid_create_security_group_duplicate": Conflict,
    "ec2stack/invalid_create_snapshot_volume_not_found": NotFound,
    "ec2stack/invalid_create_tag_not_found": NotFound,
    "ec2stack/invalid_create_volume_invalid_snapshot_response": NotFound,
    "ec2stack/invalid_create_vpc_invalid_cidr": Invalid,
    "ec2stack/invalid_delete_security_group": NotFound,
    "ec2stack/invalid_delete_snapshot_snapshot_not_found": NotFound,
    "ec2stack/invalid_delete_tag_tag_not_found": NotFound,
    "ec2stack/invalid_delete_volume_invalid_volume_id": NotFound,
    "ec2stack/invalid_describe_image_image_not_found": NotFound,
    "ec2stack/invalid_detach_volume_instance_not_found": NotFound,
    "ec2stack/invalid_detach_volume_volume_detached": Conflict,
    "ec2stack/invalid_detach_volume_volume_not_found": NotFound,
    "ec2stack/invalid_import_keypair_duplicate": Conflict,
    "ec2stack/invalid_instance_get_password": NotFound,
    "ec2stack/invalid_run_instance_image_not_found": NotFound,
    "ec2stack/invalid_run_instance_keypair_not_found": NotFound,
    "ec2stack/invalid_run_instance_security_group_not_found": NotFound,
    "ec2stack/invalid_run_instance_unknown_issue": Invalid,
    "ec2stack/invalid_security_group_authorize_security_group": NotFound,
    "libcloud/deployVirtualMachine_deployfail": NotFound,
    "libcloud/queryAsyncJobResult_17177": Unavailable,
    "libcloud/registerSSHKeyPair_error": Invalid,
}


class Replay(Wire):
    """A wire on which commands get recorded answers, and lists for which there is none are empty."""

    def __init__(self, answers: Mapping[str, Mapping[str, Item]]) -> None:
        super().__init__("http://recorded.invalid")
        self._answers = answers

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:  # noqa: ARG002
        name = params["command"].lower()
        answer = self._answers.get(name, {f"{name}response": {}})
        said = next(iter(answer.values()))
        return httpx.Response(said.get("errorcode", 200), json=answer)


class Everybody(Owner):
    """The recorded things are many accounts'."""

    def has(self, item: Item) -> bool:  # noqa: ARG002
        return True


class Everywhere(Tenant):
    """And in many zones."""

    def here(self, item: Item) -> bool:  # noqa: ARG002
        return True


def session(key: str, zones: Sequence[str] = (), *, groups: bool = True) -> CloudStackSession:
    """Of a cloud that has given this answer."""
    stack = CloudStack("stack", zones, Options("http://127.0.0.1:1/client/api", security_groups=groups))
    return CloudStackSession(stack, Everywhere(client(key), Everybody("", "", "", ""), zones, Offers()))


def named(key: str) -> str:
    """The command that an answer is to, in small letters."""
    return next(iter(ANSWERS[key])).lower().removesuffix("response")


def client(key: str) -> Client:
    return Client(Replay({named(key): ANSWERS[key]}), Keys("", ""))


def of(*commands: str) -> list[str]:
    return sorted(key for key in ANSWERS if named(key) in commands)


@pytest.mark.parametrize("key", sorted(set(of(*LISTS)) - REFUSALS.keys()))
def test_a_list_is_understood(key: str) -> None:
    name, listed = LISTS[named(key)]
    items = next(iter(ANSWERS[key].values())).get(name, [])

    found = listed(session(key))

    known = {one.get("id", one["name"]) for one in items}
    assert sorted(known) == sorted(one.native for one in found)


@pytest.mark.parametrize("key", of("listzones"))
def test_zones_are_understood(key: str) -> None:
    items = next(iter(ANSWERS[key].values())).get("zone", [])
    zones = {one["name"]: one.get("allocationstate", "Enabled") == "Enabled" for one in items}

    groups = any(one["securitygroupsenabled"] for one in items)
    found = session(key, ["elsewhere", *zones], groups=groups).compute.list_zones()

    assert {"elsewhere": False, **zones} == {one.name: one.available for one in found}


@pytest.mark.parametrize("key", sorted(ANSWERS.keys() - REFUSALS.keys()))
def test_an_answer_is_taken(key: str) -> None:
    said = next(iter(ANSWERS[key].values()))
    asked = client(key)

    if named(key) == "queryasyncjobresult" and said.get("jobstatus"):
        assert asked.done("job") == (said.get("jobresult") or {})
    else:
        assert asked.read(named(key)) == said


@pytest.mark.parametrize("key", REFUSALS)
def test_a_refusal_is_told_by_its_code_and_its_text(key: str) -> None:
    asked = client(key)

    with pytest.raises(REFUSALS[key]):
        asked.done("job") if named(key) == "queryasyncjobresult" else asked.read(named(key))
