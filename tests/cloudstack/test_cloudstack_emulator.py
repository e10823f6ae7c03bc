"""Whether the emulator is a CloudStack: clients that others wrote use it, and it refuses what is not CloudStack's."""

from __future__ import annotations

from typing import Any

import cs
import httpx
import pytest
from emulators.cloudstack.contract import commands
from libcloud.compute.providers import get_driver
from libcloud.compute.types import Provider

from isthmus import errors
from isthmus.providers.cloudstack.client import Client, Wire
from isthmus.providers.cloudstack.signing import Keys, signed


def test_it_has_the_commands_of_cloudstack() -> None:
    assert 879 == len(commands())
    assert commands()["deployvirtualmachine"].asynchronous


def test_cs_makes_lists_and_deletes(emulator: Any, account: Any) -> None:
    them = cs.CloudStack(
        endpoint=emulator.url, key=account.api, secret=account.secret, method="post", poll_interval=0.01
    )
    [zone] = them.listZones(fetch_list=True)
    [offering] = them.listDiskOfferings(name="Custom", fetch_list=True)

    made = them.createVolume(name="a b*c", zoneid=zone["id"], diskofferingid=offering["id"], size=2, fetch_result=True)[
        "volume"
    ]

    assert [(made["id"], "a b*c", 2 << 30)] == [
        (one["id"], one["name"], one["size"]) for one in them.listVolumes(fetch_list=True)
    ]
    them.deleteVolume(id=made["id"])
    assert [] == them.listVolumes(fetch_list=True)


def test_libcloud_makes_lists_and_deletes(emulator: Any, account: Any) -> None:
    """It signs with version 1, sends all by GET, and has no word for a success that is a boolean."""
    emulator.posts = False
    driver = get_driver(Provider.CLOUDSTACK)
    url = httpx.URL(emulator.url)
    them = driver(account.api, account.secret, host=url.host, port=url.port, path=url.path, secure=False)
    [zone] = them.list_locations()

    pair = them.create_key_pair("k")
    made = them.create_volume(3, "v", location=zone)

    assert "PRIVATE KEY" in pair.private_key
    assert ["k"] == [one.name for one in them.list_key_pairs()]
    assert [(made.id, 3 << 30)] == [(one.id, one.size) for one in them.list_volumes()]
    them.destroy_volume(made)
    them.delete_key_pair(pair)
    assert ([], []) == (them.list_volumes(), them.list_key_pairs())


@pytest.mark.parametrize(
    ("command", "params", "words"),
    [
        ("listVolumes", {"colour": "red"}, "unknown parameter colour"),
        ("listVolumes", {"id": "5"}, "no uuid"),
        ("listVolumes", {"listall": "yes"}, "no boolean"),
        ("listVolumes", {"page": "1"}, "page and pagesize"),
        ("listVolumes", {"hostid": "x"}, "no uuid"),
        ("createSSHKeyPair", {}, "missing parameter name"),
        ("createSSHKeyPair", {"name": "x" * 256}, "too long"),
        ("listVolumes", {"displayvolume": "true"}, "not for users"),
    ],
)
def test_what_the_contract_does_not_know_is_refused(client: Client, command: str, params: Any, words: str) -> None:
    with pytest.raises(errors.Invalid, match=words):
        client.begin(command, **params)


@pytest.mark.parametrize("command", ["makeCoffee", "addHost"])
def test_what_is_no_command_for_users_is_refused(client: Client, command: str) -> None:
    with pytest.raises(errors.Unsupported, match="not available"):
        client.begin(command)


def test_state_is_changed_by_post_alone(emulator: Any, account: Any, cloud: Any) -> None:
    keys = Keys(account.api, account.secret)
    asked = signed(keys, {"command": "createSSHKeyPair", "name": "k", "response": "json"}, cloud.now())

    assert 430 == httpx.get(emulator.url, params=asked).status_code


@pytest.mark.parametrize("keys", [Keys("nobody", "x"), None])
def test_who_does_not_sign_rightly_is_refused(wire: Wire, account: Any, keys: Keys | None) -> None:
    with pytest.raises(errors.Denied):
        Client(wire, keys or Keys(account.api, "another")).read("listZones")


def test_a_request_that_has_expired_is_refused(client: Client, cloud: Any) -> None:
    cloud.pass_by(600)

    with pytest.raises(errors.Denied):
        client.read("listZones")
