"""Clouds that say what real CloudStacks once answered."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from isthmus.providers.cloudstack.client import Client, Item, Wire
from isthmus.providers.cloudstack.cloud import CloudStack, CloudStackSession, Options
from isthmus.providers.cloudstack.credentials import Owner
from isthmus.providers.cloudstack.signing import Keys
from isthmus.providers.cloudstack.tenant import Offers, Tenant

Answer = Mapping[str, Any]
"""What an answer has under its command's name, under a name that tells the command."""
_BARE = {
    "ec2stack/disk_offering_search": "listdiskofferings",
    "ec2stack/revoke_security_group_search": "listsecuritygroups",
    "ec2stack/service_offering_search": "listserviceofferings",
    "ec2stack/service_offerings_search": "listserviceofferings",
    "ec2stack/valid_get_instance_by_id": "listvirtualmachines",
    "ec2stack/zones_search": "listzones",
}
"""Recordings of single things, without the list that they came in."""
_LISTED = {
    "listdiskofferings": "diskoffering",
    "listsecuritygroups": "securitygroup",
    "listserviceofferings": "serviceoffering",
    "listvirtualmachines": "virtualmachine",
    "listzones": "zone",
}
_ALIKE = {"keypair": "sshkeypair", "publicipaddress": "ipaddress"}
"""Names of the same things in answers of other commands."""


def listing(command: str, name: str, items: Sequence[Item]) -> Answer:
    return {f"{command.lower()}response": {"count": len(items), name: list(items)}}


def _recorded() -> Iterator[tuple[str, Answer]]:
    packed = (Path(__file__).parent / "recorded" / "answers.json.gz").read_bytes()
    for key, answer in json.loads(gzip.decompress(packed)).items():
        if command := _BARE.get(key):
            yield key, listing(command, _LISTED[command], answer.get(_LISTED[command], [answer]))
        else:
            yield key, answer


ANSWERS: Mapping[str, Answer] = dict(_recorded())


class Replay(Wire):
    """A wire on which commands, by their names in small letters, get recorded answers; lists for which there is none
    are empty."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
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


class Replayed:
    """A cloud that has given these answers, and a tenant's view of it."""

    def __init__(
        self, answers: Mapping[str, Answer], zones: Sequence[str] = (), *, groups: bool = True, **options: Any
    ) -> None:
        self.wire = Replay(answers)
        self.client = Client(self.wire, Keys("", ""))
        url = "http://127.0.0.1:1/client/api"
        self.cloud = CloudStack("stack", zones, Options(url, security_groups=groups, **options))
        self.tenant = Everywhere(self.client, Everybody("", "", "", ""), zones, Offers())
        self.session = CloudStackSession(self.cloud, self.tenant)


def named(key: str) -> str:
    """The command that an answer is to, in small letters."""
    return next(iter(ANSWERS[key])).lower().removesuffix("response")


def said(key: str) -> Item:
    found: Item = next(iter(ANSWERS[key].values()))
    return found


def things(key: str) -> Mapping[str, Sequence[Item]]:
    """The things in an answer, or in the result of its job, by what they are."""
    told = said(key).get("jobresult") or said(key)
    found = {}
    for name, value in told.items():
        if isinstance(value, (list, dict)):
            items = value if isinstance(value, list) else [value] if value else []
            found[_ALIKE.get(name, name)] = items
    return found
