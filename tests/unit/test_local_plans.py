"""The plan of the local cloud's networks, as the records of its tenants make it."""

from __future__ import annotations

from dataclasses import replace

from isthmus.model import (
    AclRule,
    Address,
    Dhcp,
    Direction,
    Firewall,
    Hop,
    Network,
    Port,
    Route,
    Rule,
    Subnet,
    SubnetWiring,
    Wiring,
)
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, Plan, PortPlan, PublicPlan, SubnetPlan
from isthmus.providers.local.plans import Tenant, compiled

NETWORK = Network("net", "", "default", "10.0.0.0/16", default=True, more=("10.1.0.0/16",))
OTHER = Network("other-net", "", "other", "10.0.0.0/16")
SUBNET = Subnet("subnet", "", "", "net", "10.0.0.0/24", "zone", 0)
BARE = Subnet("bare", "", "", "net", "10.1.0.0/24", "zone", 0)
PORT = Port("port", "02:00:00:00:00:01", "10.0.0.4", "subnet", "net", ("fw",), 0, False, "", ("10.0.0.5",), "server")
NAT = Port("nat", "02:00:00:00:00:02", "10.0.0.6", "subnet", "net", ("fw",))
RULE = Rule(Direction.INGRESS, "-1", peer="fw")
FIREWALL = Firewall("fw", "", "default", "", "net", (RULE,))
OUT = (Route("0.0.0.0/0", Hop.INTERNET),)
ACL = (AclRule(100, Direction.INGRESS, True, "-1", "0.0.0.0/0"),)
WIRING = Wiring(True, ("other-net",), (SubnetWiring("subnet", OUT, ACL),), Dhcp("example.com"), resolver=False)
TENANT = Tenant(
    name="acme",
    networks={NETWORK: WIRING, OTHER: Wiring()},
    subnets=(SUBNET, BARE, replace(SUBNET, native="elsewhere", network="other-net")),
    ports=(
        PORT,
        NAT,
        replace(PORT, native="waiting", server="stopped"),
        replace(NAT, native="far", network="other-net"),
    ),
    firewalls=(FIREWALL, replace(FIREWALL, native="other-fw", network="other-net")),
    addresses=(Address("1", "", "127.13.0.1", "", "port", "10.0.0.5"), Address("2", "", "127.13.0.2")),
)


def plan_of(*up: str, tenant: Tenant = TENANT) -> Plan:
    return compiled([tenant], up, "/metadata.sock", "203.0.113.0/24")


def test_a_network_with_a_server_that_is_up_is_planned_as_a_whole() -> None:
    assert plan_of("server") == Plan(
        "/metadata.sock",
        (
            NetworkPlan(
                native="net",
                ranges=("10.0.0.0/16", "10.1.0.0/16"),
                internet=True,
                resolver=False,
                dhcp=Dhcp("example.com"),
                peers=("other-net",),
                subnets=(SubnetPlan("subnet", "10.0.0.0/24", OUT, ACL), SubnetPlan("bare", "10.1.0.0/24")),
                ports=(
                    PortPlan(
                        native="port",
                        subnet="subnet",
                        mac="02:00:00:00:00:01",
                        addresses=("10.0.0.4", "10.0.0.5"),
                        firewalls=("fw",),
                        source_check=False,
                        tenant="acme",
                        server="server",
                    ),
                    PortPlan("nat", "subnet", "02:00:00:00:00:02", ("10.0.0.6",), ("fw",)),
                ),
                firewalls=(FirewallPlan("fw", (RULE,)),),
                publics=(PublicPlan("127.13.0.1", "10.0.0.5", "port"),),
            ),
        ),
        "203.0.113.0/24",
    )


def test_nothing_is_planned_while_nothing_is_up() -> None:
    assert plan_of() == Plan("/metadata.sock", (), "203.0.113.0/24")


def test_the_public_address_of_a_server_that_is_down_is_of_nobody() -> None:
    elsewhere = replace(PORT, native="second", server="stopped", address="10.0.0.9", secondary=())
    held = Address("3", "", "127.13.0.3", "", "second", "10.0.0.9")
    tenant = replace(TENANT, ports=(PORT, elsewhere), addresses=(*TENANT.addresses, held))

    [network] = plan_of("server", tenant=tenant).networks

    assert [public.address for public in network.publics] == ["127.13.0.1"]
    assert [port.native for port in network.ports] == ["port"]


def test_tenants_are_planned_beside_each_other() -> None:
    theirs = replace(TENANT, name="other", ports=(replace(PORT, server="theirs"),))

    networks = compiled([TENANT, theirs], {"server", "theirs"}, "", "").networks

    assert [port.tenant for network in networks for port in network.ports if port.server] == ["acme", "other"]
