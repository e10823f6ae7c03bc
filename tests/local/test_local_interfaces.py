"""Guests with several interfaces and addresses: what their guests make of them, told by connections between guests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from served import eventually

from isthmus.model import Port, Server, ServerState, SubnetWiring
from isthmus.providers import PortSpec, SubnetSpec
from isthmus.providers.local import tiny, way
from isthmus.providers.local.layout import OUT, first_firewall, first_network, first_subnet
from isthmus.providers.local.netd.client import able

from .conftest import SSH, ZONE, World, make_world, until
from .launched import BUSY, Vpc, cloud

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.skipif(not able()[0], reason=f"no networks can be made of namespaces here: {able()[1]}"),
]
TENANT = "acme,ltd"
REFRESH_SECONDS = 180
"""A guest looks for new addresses every minute; and hosts may be slow."""


@dataclass
class Guests:
    """`many` has an interface in each of two subnets, and another one in the first; `other` is in the second subnet."""

    world: World
    subnets: tuple[str, str]
    many: str
    other: str
    public: dict[str, str]

    def server(self, native: str) -> Server:
        return self.world.server(native)

    def port(self, native: str, index: int) -> Port:
        return next(port for port in self.server(native).ports if port.index == index)

    def run(self, native: str, command: str) -> str:
        return self.world.ssh(self.public[native], command)

    def answers(self, asker: str, address: str) -> bool:
        """Whether a guest gets through to the ssh server at another's address."""
        return self.run(asker, f"timeout 5 nc -w 3 {address} 22 </dev/null | head -c 4") == "SSH-"


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny, key: Path) -> Iterator[Guests]:
    for world in make_world(tmp_path_factory.mktemp("interfaces"), key, network=way.NAMESPACES):
        session, network, first = world.session, first_network(TENANT), first_subnet(TENANT, ZONE)
        second = session.networks.create_subnet(SubnetSpec("b", "b", network, "172.31.64.0/24", ZONE)).native
        wiring = session.networks.wiring_of(network)
        session.networks.wire(network, replace(wiring, subnets=(*wiring.subnets, SubnetWiring(second, OUT))))
        session.firewalls.add_rules(first_firewall(TENANT), [SSH])
        ports = [
            session.ports.create_port(PortSpec(f"many-{index}", subnet, count=index % 2)).native
            for index, subnet in enumerate((first, second, first))
        ]
        found = [world.launched("many", ports=tuple(ports)), world.launched("other", subnet=second)]
        many, other = (one.native for one in found)
        yield Guests(world, (first, second), many, other, {one: world.address(one) for one in (many, other)})


def test_each_interface_has_its_address_in_its_subnet_and_one_leads_outside(guests: Guests) -> None:
    bits = {guests.subnets[0]: 20, guests.subnets[1]: 24}

    for port in guests.server(guests.many).ports:
        shown = guests.run(guests.many, f"ip -4 addr show eth{port.index}")
        assert all(f"inet {address}/{bits[port.subnet]} " in shown for address in port.addresses)
    shown = guests.run(guests.many, "ip route show | grep default")
    assert (shown.count("default"), "dev eth0" in shown) == (1, True)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_connection_passes_each_interface_though_another_one_is_nearer_to_who_asks(
    guests: Guests, index: int
) -> None:
    count = f"cat /sys/class/net/eth{index}/statistics/tx_packets"
    before = int(guests.run(guests.many, count))

    assert guests.answers(guests.other, guests.port(guests.many, index).address)

    assert int(guests.run(guests.many, count)) > before


def test_a_further_address_answers(guests: Guests) -> None:
    [address] = guests.port(guests.many, 1).secondary

    assert guests.answers(guests.other, address)


def test_an_interface_that_is_plugged_while_its_guest_runs_answers_by_all_of_its_addresses(guests: Guests) -> None:
    session = guests.world.session
    port = session.ports.create_port(PortSpec("plugged", guests.subnets[0], count=1))

    session.ports.attach_port(port.native, guests.other, 1)
    until(lambda: all(guests.answers(guests.many, address) for address in port.addresses), 60)
    session.ports.detach_port(port.native)

    assert not guests.answers(guests.many, port.address)
    session.ports.attach_port(port.native, guests.other, 1)
    until(lambda: all(guests.answers(guests.many, address) for address in port.addresses), 60)
    assert guests.answers(guests.many, guests.port(guests.other, 0).address)
    session.ports.detach_port(port.native)
    session.ports.delete_port(port.native)


def test_addresses_come_and_go_while_a_guest_runs_and_stay_when_it_is_started_again(guests: Guests) -> None:
    session, many = guests.world.session, guests.many
    [old] = guests.port(many, 1).secondary

    session.ports.remove_addresses(guests.port(many, 1).native, [old])
    session.ports.add_addresses(guests.port(many, 0).native, [], 1)
    [new] = guests.port(many, 0).secondary
    until(lambda: guests.answers(guests.other, new), REFRESH_SECONDS)
    until(lambda: f" {old}/" not in guests.run(many, "ip -4 addr show eth1"), 30)

    before = guests.server(many).ports
    session.compute.stop_server(many)
    guests.world.wait(many, ServerState.STOPPED)
    assert not guests.answers(guests.other, new)
    session.compute.start_server(many)
    guests.world.says(many, b"tiny: ready", times=2)

    assert guests.server(many).ports == before
    for address in (address for port in before for address in port.addresses):
        assert guests.answers(guests.other, address)


def test_what_the_api_gives_an_instance_its_guest_uses(tmp_path: Path, tiny_image: tiny.Tiny) -> None:
    with cloud(tmp_path) as made:
        vpc = Vpc(made.account("first"), "10.40.0.0/16")
        (front, _), (back, _) = vpc.subnet("10.40.1.0/24"), vpc.subnet("10.40.2.0/24")
        made.want("a", vpc, front, "10.40.1.10", SecondaryPrivateIpAddressCount=1)
        made.want("b", vpc, back, "10.40.2.10")
        a, b = made.guests("a", "b")
        asked = {"SubnetId": back, "Groups": [vpc.open], "SecondaryPrivateIpAddressCount": 1}
        port = vpc.ec2.create_network_interface(**asked)["NetworkInterface"]["NetworkInterfaceId"]

        vpc.ec2.attach_network_interface(InstanceId=a.id, NetworkInterfaceId=port, DeviceIndex=1)

        [found] = vpc.ec2.describe_instances(InstanceIds=[a.id])["Reservations"][0]["Instances"]
        held = [one["PrivateIpAddress"] for nic in found["NetworkInterfaces"] for one in nic["PrivateIpAddresses"]]
        assert len(held) == 4
        for address in held:
            said = eventually(lambda address=address: b.asks(address).get("tcp"), seconds=BUSY)  # type: ignore[misc]
            assert said == f"a {b.address}"
