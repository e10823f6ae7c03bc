"""Real guests in networks made of namespaces: what reaches whom. What the daemon itself promises is tested with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import Conflict, NotFound, Unavailable
from isthmus.model import Direction, Hop, Route, Rule, Server, ServerState, SubnetWiring, Wiring
from isthmus.providers import AddressSpec, FirewallSpec, NetworkSpec, PortSpec, SubnetSpec
from isthmus.providers.local import boots, tiny, way
from isthmus.providers.local.layout import OUT, first_network, first_subnet
from isthmus.providers.local.netd.client import NetdError, able
from isthmus.providers.local.netd.plan import Plan

from .conftest import SSH, ZONE, World, make_world, until

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
TENANT = "acme,ltd"
WATCH = b"""#!/bin/sh
(while sleep 0.5; do
  found=$(timeout 3 nc -w 1 %s 22 </dev/null 2>/dev/null | head -c 3)
  echo "SEES ${found:-NOTHING} WITH" $(ls /sys/class/net)
done >/dev/console) &
"""
"""What a guest says of a port 22 again and again, and of its interfaces; nc would wait for an end that is gone."""


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny, key: Path) -> Iterator[World]:
    """A cloud whose guests are in namespaces."""
    yield from make_world(tmp_path_factory.mktemp("linked"), key, network=way.NAMESPACES)


@pytest.fixture(scope="module")
def group(linked: World) -> str:
    """A firewall that lets nothing in."""
    return linked.session.firewalls.create_firewall(FirewallSpec("watched", "watched", "")).native


@pytest.fixture(scope="module")
def watched(linked: World, group: str) -> Server:
    return linked.launched("first", firewalls=(group,))


@pytest.fixture(scope="module")
def watcher(linked: World, watched: Server) -> Server:
    """A guest in the same network, in no group of the other's."""
    linked.metadata.user_data[TENANT] = WATCH % watched.ports[0].address.encode()
    own = linked.session.firewalls.create_firewall(FirewallSpec("watching", "watching", "")).native
    return linked.launched("second", firewalls=(own,))


def last_said(world: World, server: Server) -> str:
    """The latest line of a guest that watches."""
    console = world.session.compute.console_output(server.native).output.decode(errors="replace")
    return ["", *re.findall(r"SEES \w+ WITH[\w ]*", console)][-1]


def says(world: World, server: Server, words: str) -> None:
    until(lambda: words in last_said(world, server))


def test_a_guest_reaches_another_while_a_rule_names_its_group(
    linked: World, group: str, watched: Server, watcher: Server
) -> None:
    firewalls = linked.session.firewalls
    rule = Rule(Direction.INGRESS, "tcp", 22, 22, peer=watcher.ports[0].firewalls[0])
    says(linked, watcher, "SEES NOTHING")

    firewalls.add_rules(group, [rule])
    says(linked, watcher, "SEES SSH")

    firewalls.remove_rules(group, [rule])
    says(linked, watcher, "SEES NOTHING")


def test_a_server_that_is_started_again_keeps_its_address(
    linked: World, group: str, watched: Server, watcher: Server
) -> None:
    rule = Rule(Direction.INGRESS, "tcp", 22, 22, cidr=f"{watcher.ports[0].address}/32")
    linked.session.firewalls.add_rules(group, [rule])
    says(linked, watcher, "SEES SSH")

    linked.session.compute.stop_server(watched.native)
    linked.wait(watched.native, ServerState.STOPPED)
    says(linked, watcher, "SEES NOTHING")
    linked.session.compute.start_server(watched.native)

    assert linked.wait(watched.native, ServerState.RUNNING).ports == watched.ports
    says(linked, watcher, "SEES SSH")
    linked.session.firewalls.remove_rules(group, [rule])


def test_an_interface_comes_and_goes_while_the_guest_runs(linked: World, watcher: Server) -> None:
    ports = linked.session.ports
    says(linked, watcher, "WITH eth0 lo")
    port = ports.create_port(PortSpec("hot", first_subnet(TENANT, ZONE)))

    ports.attach_port(port.native, watcher.native, 1)
    says(linked, watcher, "WITH eth0 eth1 lo")
    assert [one.index for one in linked.server(watcher.native).ports] == [0, 1]

    ports.detach_port(port.native)
    says(linked, watcher, "WITH eth0 lo")
    ports.attach_port(port.native, watcher.native, 2)
    says(linked, watcher, "WITH eth0 eth1 lo")
    ports.detach_port(port.native)
    ports.delete_port(port.native)


def test_a_server_boots_with_all_of_its_interfaces(linked: World, watched: Server) -> None:
    named = [
        linked.session.ports.create_port(PortSpec(f"named-{index}", first_subnet(TENANT, ZONE))).native
        for index in range(2)
    ]
    linked.metadata.user_data[TENANT] = WATCH % watched.ports[0].address.encode()
    server = linked.launched("third", ports=tuple(named))

    says(linked, server, "WITH eth0 eth1 lo")
    assert f"tiny: address {server.ports[0].address}" in linked.says(server.native, b"tiny: address")
    linked.session.compute.delete_server(server.native)


def test_networks_reach_each_other_while_they_are_peers(linked: World, group: str, watched: Server) -> None:
    session = linked.session
    rule = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="10.9.0.0/16")
    session.firewalls.add_rules(group, [rule])
    far = session.networks.create_network(NetworkSpec("far", "far", "10.9.0.0/16")).native
    subnet = session.networks.create_subnet(SubnetSpec("far", "far", far, "10.9.1.0/24", ZONE)).native
    linked.metadata.user_data[TENANT] = WATCH % watched.ports[0].address.encode()
    server = linked.launched("far", subnet=subnet)
    assert server.ports[0].address.startswith("10.9.1.")
    says(linked, server, "SEES NOTHING")

    near, own = first_network(TENANT), first_subnet(TENANT, ZONE)
    back = Route("10.9.0.0/16", Hop.PEER, far)
    before = session.networks.wiring_of(near)
    session.networks.wire(near, replace(before, peers=(far,), subnets=(SubnetWiring(own, (*OUT, back)),)))
    there = SubnetWiring(subnet, (Route("172.31.0.0/16", Hop.PEER, near),))
    session.networks.wire(far, Wiring(peers=(near,), subnets=(there,)))
    says(linked, server, "SEES SSH")

    session.networks.wire(far, Wiring())
    session.networks.wire(near, before)
    says(linked, server, "SEES NOTHING")
    session.compute.delete_server(server.native)
    session.firewalls.remove_rules(group, [rule])


def test_a_public_address_answers_while_a_rule_lets_in(linked: World, watched: Server, group: str) -> None:
    address = linked.address(watched.native)
    assert "uid=0" not in linked.ssh(address, "id")

    linked.session.firewalls.add_rules(group, [SSH])

    until(lambda: "uid=0(root)" in linked.ssh(address, "id"))


def test_a_change_that_cannot_take_effect_at_once_holds_and_does_after_mending(
    linked: World, group: str, watcher: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    firewalls = linked.session.firewalls
    rule = Rule(Direction.INGRESS, "tcp", 22, 22, peer=watcher.ports[0].firewalls[0])
    says(linked, watcher, "SEES NOTHING")

    def rules() -> tuple[Rule, ...]:
        return next(one.rules for one in firewalls.list_firewalls() if one.native == group)

    with broken_networks(linked, monkeypatch):
        firewalls.add_rules(group, [rule])
        assert rule in rules()
        with pytest.raises(Conflict):
            firewalls.add_rules(group, [rule])
        assert any("not all changes of networks are in effect" in one for one in linked.cloud.health().degraded)
    linked.cloud.mend()
    says(linked, watcher, "SEES SSH")
    assert not any("in effect" in one for one in linked.cloud.health().degraded)

    with broken_networks(linked, monkeypatch):
        firewalls.remove_rules(group, [rule])
        assert rule not in rules()
        with pytest.raises(NotFound):
            firewalls.remove_rules(group, [rule])
    linked.cloud.mend()
    says(linked, watcher, "SEES NOTHING")


@contextmanager
def broken_networks(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While this lasts, the daemon cannot do what it is told."""

    def fail(plan: object) -> None:
        raise NetdError("out of order")

    with monkeypatch.context() as broken:
        broken.setattr(world.cloud.base.netd, "apply", fail)
        yield


def test_wiring_ports_and_addresses_are_as_answered_while_networks_fail(
    linked: World, watched: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, near, own = linked.session, first_network(TENANT), first_subnet(TENANT, ZONE)
    before = session.networks.wiring_of(near)
    closed = replace(before, subnets=(SubnetWiring(own, (Route("10.0.0.0/8", Hop.NOWHERE), *OUT)),))
    address = session.addresses.allocate_address(AddressSpec("while-broken")).native

    with broken_networks(linked, monkeypatch):
        session.networks.wire(near, closed)
        port = session.ports.create_port(PortSpec("while-broken", own)).native
        session.ports.add_addresses(port, [], 1)
        session.addresses.associate_address(address, port)
        with pytest.raises(Unavailable):
            session.ports.attach_port(port, watched.native, 1)
    linked.cloud.mend()

    [made] = [one for one in session.ports.list_ports() if one.native == port]
    assert (made.server, len(made.secondary)) == ("", 1)
    assert session.networks.wiring_of(near) == closed
    assert [port] == [one.port for one in session.addresses.list_addresses() if one.native == address]
    plan = Plan.load(linked.cloud.base.netd_directory / "plan.json")
    [network] = [one for one in plan.networks if one.native == near]
    assert next(one for one in network.subnets if one.native == own).routes == closed.subnets[0].routes
    assert port in {one.port for one in network.publics}
    session.networks.wire(near, before)
    session.addresses.disassociate_address(address)
    session.addresses.release_address(address)
    session.ports.delete_port(port)


def test_a_server_starts_though_its_networks_fail_for_a_moment(linked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    netd = linked.cloud.base.netd
    apply, failures = netd.apply, iter([1, 2])

    def fail_twice(plan: Plan) -> None:
        if next(failures, None):
            raise NetdError("out of order for a moment")
        apply(plan)

    monkeypatch.setattr(boots, "NETWORK_SECONDS", 0.01)
    monkeypatch.setattr(netd, "apply", fail_twice)
    server = linked.launched("late")

    assert next(failures, None) is None
    assert server.state is ServerState.RUNNING
    linked.session.compute.delete_server(server.native)


def test_a_daemon_that_was_killed_is_started_again_by_mending(linked: World, watched: Server, watcher: Server) -> None:
    linked.cloud.base.netd.stop()
    assert any("does not run" in reason for reason in linked.cloud.health().degraded)

    linked.cloud.mend()

    assert not any("daemon" in reason for reason in linked.cloud.health().degraded)
    assert linked.cloud.health().details["network"] == "namespaces"
    says(linked, watcher, "SEES")


@pytest.fixture
def alone(tmp_path: Path, tiny_image: tiny.Tiny, key: Path) -> Iterator[World]:
    """A cloud for one test."""
    yield from make_world(tmp_path, key, network=way.NAMESPACES)


def test_cleaning_leaves_networks_that_are_used_and_takes_the_others(alone: World) -> None:
    server = alone.launched("first", ready=False)
    assert not [line for line in alone.cloud.clean() if "networks" in line]
    assert alone.cloud.base.netd.health()["running"]

    alone.session.compute.delete_server(server.native)
    until(lambda: not alone.session.compute.list_servers())
    until(lambda: not alone.cloud.base.netd.health()["running"])
    list(alone.cloud.clean())

    assert not alone.cloud.base.netd_directory.exists()
