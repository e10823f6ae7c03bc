"""Of two requests at once for parts of networks, whichever comes first, none leaves behind what cannot be."""

from __future__ import annotations

import pytest
from asking import where
from interrupting import at_once
from whole import clear, demand_told, demand_whole
from wired import (
    S3,
    accept,
    asked,
    attachable,
    connect,
    customer,
    delete_subnet,
    delete_vpc,
    detach,
    entry,
    expose,
    exposed,
    nat,
    network,
    peer,
    reject,
)

from isthmus.context import Context


def pair(setting, first, second, one, other):
    """Both orders: which of the two begins first."""
    return {f"{first}, and {second}": (setting, one, other), f"{second}, and {first}": (setting, other, one)}


def delete_nats(ec2, _):
    for one in ec2.describe_nat_gateways(Filters=where(state=["pending", "available"]))["NatGateways"]:
        ec2.delete_nat_gateway(NatGatewayId=one["NatGatewayId"])


def interface(ec2, it):
    return ec2.create_network_interface(SubnetId=it.subnet)


def delete_interfaces(ec2, _):
    for one in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        ec2.delete_network_interface(NetworkInterfaceId=one["NetworkInterfaceId"])


def with_endpoint(ec2):
    """A VPC with an endpoint that has no tables."""
    it = network(ec2)
    it.endpoint = ec2.create_vpc_endpoint(VpcId=it.vpc, ServiceName=S3)["VpcEndpoint"]["VpcEndpointId"]
    return it


def delete_endpoint(ec2, it):
    return ec2.delete_vpc_endpoints(VpcEndpointIds=[it.endpoint])


def further(ec2, it):
    return ec2.modify_vpc_endpoint(VpcEndpointId=it.endpoint, AddRouteTableIds=[it.table])


PARTS = {
    "a subnet": lambda ec2, it: ec2.create_subnet(VpcId=it.vpc, CidrBlock="10.7.1.0/24"),
    "a route table": lambda ec2, it: ec2.create_route_table(VpcId=it.vpc),
    "an ACL": lambda ec2, it: ec2.create_network_acl(VpcId=it.vpc),
    "an internet gateway": lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
    "a VPN gateway": lambda ec2, it: ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.vgw),
    "an egress-only gateway": lambda ec2, it: ec2.create_egress_only_internet_gateway(VpcId=it.vpc),
    "an endpoint": lambda ec2, it: ec2.create_vpc_endpoint(VpcId=it.vpc, ServiceName=S3),
    "a connection": peer,
    "a security group": lambda ec2, it: ec2.create_security_group(GroupName="g", Description="d", VpcId=it.vpc),
    "another set of DHCP options": lambda ec2, it: ec2.associate_dhcp_options(VpcId=it.vpc, DhcpOptionsId=it.dhcp),
}
CASES = {
    **{
        name: case
        for what, part in PARTS.items()
        for name, case in pair(attachable, "a deletion of a VPC", f"{what} in it", delete_vpc, part).items()
    },
    **pair(exposed, "a detachment of a gateway", "a public address behind it", detach, expose),
    **pair(
        exposed,
        "a deletion of an interface",
        "an address for it",
        lambda ec2, it: ec2.delete_network_interface(NetworkInterfaceId=it.port),
        expose,
    ),
    **pair(
        network,
        "a deletion of a subnet",
        "an interface in it",
        delete_subnet,
        interface,
    ),
    **pair(
        network,
        "a deletion of a subnet",
        "a NAT gateway in it",
        delete_subnet,
        lambda ec2, it: ec2.create_nat_gateway(SubnetId=it.subnet, ConnectivityType="private"),
    ),
    **pair(
        network,
        "a deletion of a subnet",
        "a route table for it",
        delete_subnet,
        lambda ec2, it: ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet),
    ),
    **pair(asked, "an acceptance of a connection", "its rejection", accept, reject),
    **pair(
        asked,
        "an acceptance of a connection",
        "the deletion of its network",
        accept,
        lambda ec2, it: ec2.delete_vpc(VpcId=it.second),
    ),
    "two connections of two networks": (attachable, peer, peer),
    "an interface, and its deletion": (network, interface, delete_interfaces),
    "a NAT gateway, and its deletion": (exposed, nat, delete_nats),
    "two NAT gateways with one address": (exposed, nat, nat),
    "a NAT gateway, and its address elsewhere": (exposed, nat, expose),
    "a NAT gateway, and the detachment of the gateway": (exposed, nat, detach),
    **pair(with_endpoint, "a deletion of an endpoint", "a further table for it", delete_endpoint, further),
    **pair(
        asked,
        "an acceptance of a connection",
        "a range that overlaps",
        accept,
        lambda ec2, it: ec2.associate_vpc_cidr_block(VpcId=it.second, CidrBlock="10.7.0.0/20"),
    ),
    **pair(
        network,
        "a deletion of a route table",
        "an endpoint with it",
        lambda ec2, it: ec2.delete_route_table(RouteTableId=it.table),
        lambda ec2, it: ec2.create_vpc_endpoint(VpcId=it.vpc, ServiceName=S3, RouteTableIds=[it.table]),
    ),
    "entries of an ACL": (
        network,
        lambda ec2, it: ec2.create_network_acl_entry(**entry(it.acl, 1)),
        lambda ec2, it: ec2.create_network_acl_entry(**entry(it.acl, 2)),
    ),
    "a deletion of an ACL, and its use": (
        network,
        lambda ec2, it: ec2.delete_network_acl(NetworkAclId=it.acl),
        lambda ec2, it: ec2.replace_network_acl_association(AssociationId=it.held, NetworkAclId=it.acl),
    ),
    "a use of an ACL, and its deletion": (
        network,
        lambda ec2, it: ec2.replace_network_acl_association(AssociationId=it.held, NetworkAclId=it.acl),
        lambda ec2, it: ec2.delete_network_acl(NetworkAclId=it.acl),
    ),
    "a use of an ACL, and the deletion of its subnet": (
        network,
        lambda ec2, it: ec2.replace_network_acl_association(AssociationId=it.held, NetworkAclId=it.acl),
        lambda ec2, it: ec2.delete_subnet(SubnetId=it.subnet),
    ),
    "a deletion of a route table, and its use": (
        network,
        lambda ec2, it: ec2.delete_route_table(RouteTableId=it.table),
        lambda ec2, it: ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet),
    ),
    "a use of a route table, and its deletion": (
        network,
        lambda ec2, it: ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet),
        lambda ec2, it: ec2.delete_route_table(RouteTableId=it.table),
    ),
    "a use of a set of DHCP options, and its deletion": (
        attachable,
        lambda ec2, it: ec2.associate_dhcp_options(VpcId=it.vpc, DhcpOptionsId=it.dhcp),
        lambda ec2, it: ec2.delete_dhcp_options(DhcpOptionsId=it.dhcp),
    ),
    "a deletion of a set of DHCP options, and its use": (
        attachable,
        lambda ec2, it: ec2.delete_dhcp_options(DhcpOptionsId=it.dhcp),
        lambda ec2, it: ec2.associate_dhcp_options(VpcId=it.vpc, DhcpOptionsId=it.dhcp),
    ),
    "two gateways for a VPC": (
        attachable,
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.other),
    ),
    "two VPCs for a gateway": (
        attachable,
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.second, InternetGatewayId=it.igw),
    ),
    "an attachment of a gateway, and its deletion": (
        attachable,
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
        lambda ec2, it: ec2.delete_internet_gateway(InternetGatewayId=it.igw),
    ),
    "a deletion of a gateway, and its attachment": (
        attachable,
        lambda ec2, it: ec2.delete_internet_gateway(InternetGatewayId=it.igw),
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
    ),
    "two VPN gateways for a VPC": (
        attachable,
        lambda ec2, it: ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.vgw),
        lambda ec2, it: ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.further),
    ),
    "a VPN connection, and the deletion of its gateway": (
        attachable,
        connect,
        lambda ec2, it: ec2.delete_vpn_gateway(VpnGatewayId=it.vgw),
    ),
    "a VPN connection, and the deletion of its customer's gateway": (
        attachable,
        connect,
        lambda ec2, it: ec2.delete_customer_gateway(CustomerGatewayId=it.cgw),
    ),
    "a deletion of a VPN gateway, and a connection": (
        attachable,
        lambda ec2, it: ec2.delete_vpn_gateway(VpnGatewayId=it.vgw),
        connect,
    ),
    "two connections with one inside range": (
        attachable,
        lambda ec2, it: connect(ec2, it, TunnelOptions=[{"TunnelInsideCidr": "169.254.10.0/30"}]),
        lambda ec2, it: connect(ec2, it, TunnelOptions=[{"TunnelInsideCidr": "169.254.10.0/30"}]),
    ),
    "a customer's gateway, twice": (
        attachable,
        lambda ec2, _: customer(ec2, "198.51.100.78"),
        lambda ec2, _: customer(ec2, "198.51.100.78"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_of_two_requests_at_once_none_leaves_what_cannot_be(build, case):
    setting, one, other = CASES[case]
    house = build()
    ec2 = house.client()
    moment, came = 0, True
    while came:
        it = setting(ec2)
        came = at_once(house, moment, lambda: one(ec2, it), lambda: other(ec2, it))  # noqa: B023 - called at once
        demand_whole(ec2)
        demand_told(house, Context(house.account[0], house.world))
        clear(ec2)
        moment += 1
    assert moment > 1


def test_of_two_changes_of_an_acl_at_once_none_is_lost(build):
    setting, one, other = CASES["entries of an ACL"]
    house = build()
    ec2 = house.client()
    moment, came = 0, True
    while came:
        it = setting(ec2)
        came = at_once(house, moment, lambda: one(ec2, it), lambda: other(ec2, it))  # noqa: B023 - called at once
        [acl] = ec2.describe_network_acls(NetworkAclIds=[it.acl])["NetworkAcls"]
        numbers = [each["RuleNumber"] for each in acl["Entries"] if not each["Egress"]]
        assert numbers == ([1, 2] if came else [1]) + [32767]
        moment += 1


def test_limits_hold_for_two_requests_at_once(build):
    calls = {
        "describe_network_acls": (lambda ec2, it: ec2.create_network_acl(VpcId=it.vpc), 2 + 2),
        "describe_vpn_gateways": (lambda ec2, _: ec2.create_vpn_gateway(Type="ipsec.1"), 3),
        "describe_customer_gateways": (lambda ec2, _: customer(ec2, f"198.51.100.{next(numbers)}"), 2),
        "describe_vpn_connections": (connect, 1),
        "describe_addresses": (lambda ec2, _: ec2.allocate_address(), 1),
    }
    numbers = iter(range(100, 200))
    house = build(acls_per_vpc=3, vpn_gateways=3, customer_gateways=2, vpn_connections=1, addresses=1)
    ec2 = house.client()
    it = attachable(ec2)
    ec2.create_network_acl(VpcId=it.vpc)
    before = len(ec2.describe_network_acls()["NetworkAcls"])
    for listing, (make, most) in calls.items():
        assert at_once(house, 0, lambda: make(ec2, it), lambda: make(ec2, it))  # noqa: B023 - called at once
        [found] = [value for name, value in getattr(ec2, listing)().items() if name != "ResponseMetadata"]
        assert len(found) == (before + 1 if "acls" in listing else most), listing


def test_a_vpc_has_at_most_five_ranges_for_two_requests_at_once(build):
    house = build()
    ec2 = house.client()
    it = attachable(ec2)
    for number in range(9, 12):
        ec2.associate_vpc_cidr_block(VpcId=it.vpc, CidrBlock=f"10.{number}.0.0/16")
    numbers = iter(range(20, 22))

    def widen():
        return ec2.associate_vpc_cidr_block(VpcId=it.vpc, CidrBlock=f"10.{next(numbers)}.0.0/16")

    assert at_once(house, 0, widen, widen)

    [vpc] = ec2.describe_vpcs(VpcIds=[it.vpc])["Vpcs"]
    assert len(vpc["CidrBlockAssociationSet"]) == 5


def joined(ec2):
    """Two VPCs that are connected."""
    it = asked(ec2)
    accept(ec2, it)
    return it


def delete_second(ec2, it):
    return ec2.delete_vpc(VpcId=it.second)


TEARDOWNS = {
    "a connection, and its network": (
        joined,
        lambda ec2, it: ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=it.peering),
        delete_second,
    ),
    "a gateway, and its network": (exposed, detach, delete_vpc),
    "an interface, and its subnet": (
        exposed,
        lambda ec2, it: ec2.delete_network_interface(NetworkInterfaceId=it.port),
        lambda ec2, it: (delete_subnet(ec2, it), ec2.delete_route_table(RouteTableId=it.table)),
    ),
    "a route table, and its network": (
        network,
        lambda ec2, it: ec2.delete_route_table(RouteTableId=it.table),
        lambda ec2, it: (
            delete_subnet(ec2, it),
            ec2.delete_network_acl(NetworkAclId=it.acl),
            delete_vpc(ec2, it),
        ),
    ),
    "a subnet, and its network": (
        network,
        delete_subnet,
        lambda ec2, it: (
            ec2.delete_route_table(RouteTableId=it.table),
            ec2.delete_network_acl(NetworkAclId=it.acl),
            delete_vpc(ec2, it),
        ),
    ),
}


@pytest.mark.parametrize("case", TEARDOWNS)
def test_what_is_taken_down_at_once_with_what_it_is_in_is_not_refused(build, case):
    setting, one, other = TEARDOWNS[case]
    house = build()
    ec2 = house.client()
    moment, came, done = 0, True, 0
    while came:
        it = setting(ec2)
        answers = []
        came = at_once(house, moment, lambda: answers.append(one(ec2, it)), lambda: other(ec2, it))  # noqa: B023
        done += len(answers)
        demand_whole(ec2)
        clear(ec2)
        moment += 1
    assert done == moment > 1
