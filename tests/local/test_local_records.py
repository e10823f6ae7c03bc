"""Records of networks and ports: those of a cloud that an older version made, and what a crash leaves behind."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import Invalid, NoCapacity
from isthmus.model import Address, Firewall, Port, Server, ServerState
from isthmus.providers import AddressSpec, FirewallSpec
from isthmus.providers.local import Local, layout, way
from isthmus.providers.local.base import now
from isthmus.providers.local.firewalls import ALL_OUT
from isthmus.providers.local.records import AddressRecord, FirewallRecord, PortRecord, ServerRecord

from .conftest import FLAVORS, ZONE

NATIVE = "server-0123456789abcdef"


def old_port(tenant: str) -> Port:
    """As it was kept within its server's record."""
    return Port(
        native="port-0123456789abcdef",
        mac="02:00:00:00:00:01",
        address="172.31.0.9",
        subnet=layout.first_subnet(tenant, ZONE),
        network=layout.first_network(tenant),
        firewalls=(layout.first_firewall(tenant),),
        server=NATIVE,
        since=now(),
        delete_with_server=True,
    )


def stopped(port: Port) -> Server:
    return Server(NATIVE, "ref", "", ServerState.STOPPED, ZONE, "nano", "image", now(), now(), ports=(port,))


def test_a_cloud_of_an_older_version_keeps_its_ports_and_addresses(quiet: Local) -> None:
    port = old_port("acme")
    old = stopped(port)
    quiet.base.servers.put(ServerRecord("acme", old, 1))
    held = Address("addr-1", "held", "127.13.9.9", NATIVE, port.native, port.address)
    quiet.base.addresses.put(AddressRecord("acme", held, 2))

    upgraded = Local("local", quiet.base.state, (ZONE,), FLAVORS, accelerator="tcg").session("acme")

    assert upgraded.compute.list_servers() == [old]
    assert upgraded.ports.list_ports() == [port]
    assert upgraded.addresses.list_addresses() == [held]
    [subnet] = upgraded.networks.list_subnets()
    assert subnet.free == 4090
    upgraded.compute.delete_server(NATIVE)
    assert upgraded.addresses.list_addresses() == [replace(held, server="", port="", private="")]


def test_ports_of_a_server_that_never_came_to_be_are_removed_or_free(quiet: Local) -> None:
    own = old_port("acme")
    named = replace(own, native="port-named", ref="named", delete_with_server=False)
    for order, port in enumerate((own, named)):
        quiet.base.ports.put(PortRecord("acme", port, order))

    quiet.mend()

    [left] = quiet.session("acme").ports.list_ports()
    assert (left.native, left.server, left.since) == ("port-named", "", None)


def test_the_firewall_of_a_network_that_never_came_to_be_is_removed(quiet: Local) -> None:
    lost = Firewall("fw-lost", "", "default", "", "net-that-never-was", (ALL_OUT,))
    quiet.base.firewalls.put(FirewallRecord("acme", lost, 1))
    kept = quiet.session("acme").firewalls.create_firewall(FirewallSpec("kept", "kept", ""))

    assert "fw-lost" not in {one.native for one in quiet.session("acme").firewalls.list_firewalls()}
    quiet.mend()

    assert [record.noun for record in quiet.base.firewalls.everything()] == [kept]


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("network", {"network": "bridges"}),
        ("public", {"public": "203.0.113.0/24"}),
        ("public", {"public": "203.0.113.0/24", "network": "slirp"}),
    ],
)
def test_a_way_that_cannot_be_is_refused(tmp_path: Path, field: str, settings: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        Local("local", tmp_path / "state", **settings)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_health_says_which_way_guests_are_connected(slirp: Local) -> None:
    details = slirp.health().details

    assert (details["network"], details["network_reason"]) == ("slirp", "as configured")
    assert "cannot reach each other" in details["isolation"]


def test_by_itself_a_cloud_takes_namespaces_where_they_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(able: tuple[str, str], path: str, network: str = way.AUTO) -> way.Way:
        monkeypatch.setattr(way, "able", lambda: able)
        monkeypatch.setattr(way, "search_path", lambda: path)
        return way.choose(network)

    program = tmp_path / way.OUTSIDE
    program.touch(0o755)
    assert made(("user", ""), str(tmp_path)).name == way.NAMESPACES
    assert made(("user", ""), "/nowhere").name == way.SLIRP
    assert way.OUTSIDE in made(("user", ""), "/nowhere").reason
    assert made(("", "no tap"), str(tmp_path)) == way.Way(way.SLIRP, "no tap")
    assert "no tap" in made(("", "no tap"), str(tmp_path), way.NAMESPACES).missing
    assert made(("user", ""), "/nowhere", way.NAMESPACES).missing == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root routes public addresses")
def test_routed_public_addresses_are_of_the_range_that_was_given(tmp_path: Path) -> None:
    cloud = Local("local", tmp_path / "state", network=way.NAMESPACES, public="203.0.113.8/29")
    addresses = cloud.session("acme").addresses

    given = {addresses.allocate_address(AddressSpec(f"ref-{number}")).address for number in range(6)}

    assert given == {f"203.0.113.{number}" for number in range(9, 15)}
    with pytest.raises(NoCapacity):
        addresses.allocate_address(AddressSpec("one more"))
    for wanted in ("203.0.113.8", "203.0.113.15", "127.13.0.1"):
        with pytest.raises(Invalid):
            addresses.allocate_address(AddressSpec(wanted, wanted))
