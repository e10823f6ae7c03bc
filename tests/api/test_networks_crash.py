"""A process that is killed at any moment of a request for parts of networks leaves nothing that cannot be, nothing that
nobody sees, and nothing that cannot be deleted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from botocore.exceptions import ClientError
from tampering import crash_at
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
    options,
    peer,
)

from isthmus.context import Context


def used(ec2):
    """A VPC with a gateway, and a table that its subnet uses."""
    it = exposed(ec2)
    it.use = ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet)["AssociationId"]
    return it


def routed(ec2):
    """A VPC with every kind of thing that hangs on it."""
    it = used(ec2)
    it.second = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    it.peering = peer(ec2, it)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    accept(ec2, it)
    it.nat = nat(ec2, it)["NatGateway"]["NatGatewayId"]
    made = ec2.create_egress_only_internet_gateway(VpcId=it.vpc)["EgressOnlyInternetGateway"]
    it.egress = made["EgressOnlyInternetGatewayId"]
    route(ec2, it)
    route(ec2, it, to="192.0.2.0/24", NatGatewayId=it.nat)
    route(ec2, it, to="10.8.0.0/16", VpcPeeringConnectionId=it.peering)
    it.endpoint = endpoint(ec2, it)["VpcEndpoint"]["VpcEndpointId"]
    return it


def connected(ec2):
    """VPN gateways with a connection, and one that is attached."""
    it = attachable(ec2)
    ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.further)
    it.connection = connect(ec2, it, StaticRoutesOnly=True)
    return it


def route(ec2, it, to="0.0.0.0/0", **target):
    return ec2.create_route(RouteTableId=it.table, DestinationCidrBlock=to, **(target or {"GatewayId": it.igw}))


def endpoint(ec2, it):
    return ec2.create_vpc_endpoint(VpcId=it.vpc, ServiceName=S3, RouteTableIds=[it.table])


def wider(ec2, it):
    return ec2.associate_vpc_cidr_block(VpcId=it.vpc, CidrBlock="10.9.0.0/16")


CALLS = {
    "CreateVpc": (attachable, lambda ec2, _: ec2.create_vpc(CidrBlock="10.9.0.0/16")),
    "DeleteVpc": (attachable, delete_vpc),
    "AssociateVpcCidrBlock": (attachable, wider),
    "CreateSubnet": (attachable, lambda ec2, it: ec2.create_subnet(VpcId=it.vpc, CidrBlock="10.7.1.0/24")),
    "DeleteSubnet": (network, delete_subnet),
    "CreateRouteTable": (network, lambda ec2, it: ec2.create_route_table(VpcId=it.vpc)),
    "DeleteRouteTable": (network, lambda ec2, it: ec2.delete_route_table(RouteTableId=it.table)),
    "AssociateRouteTable": (
        network,
        lambda ec2, it: ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet),
    ),
    "DisassociateRouteTable": (routed, lambda ec2, it: ec2.disassociate_route_table(AssociationId=it.use)),
    "CreateRoute": (used, route),
    "DeleteRoute": (
        routed,
        lambda ec2, it: ec2.delete_route(RouteTableId=it.table, DestinationCidrBlock="0.0.0.0/0"),
    ),
    "CreateInternetGateway": (network, lambda ec2, _: ec2.create_internet_gateway()),
    "AttachInternetGateway": (
        attachable,
        lambda ec2, it: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
    ),
    "DetachInternetGateway": (exposed, detach),
    "AssociateAddress": (exposed, expose),
    "CreateNatGateway": (exposed, nat),
    "DeleteNatGateway": (routed, lambda ec2, it: ec2.delete_nat_gateway(NatGatewayId=it.nat)),
    "DeleteEgressOnlyInternetGateway": (
        routed,
        lambda ec2, it: ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=it.egress),
    ),
    "CreateNetworkAcl": (network, lambda ec2, it: ec2.create_network_acl(VpcId=it.vpc)),
    "CreateNetworkAclEntry": (network, lambda ec2, it: ec2.create_network_acl_entry(**entry(it.acl, 1))),
    "ReplaceNetworkAclAssociation": (
        network,
        lambda ec2, it: ec2.replace_network_acl_association(AssociationId=it.held, NetworkAclId=it.acl),
    ),
    "CreateDhcpOptions": (network, lambda ec2, _: options(ec2)),
    "AssociateDhcpOptions": (
        attachable,
        lambda ec2, it: ec2.associate_dhcp_options(VpcId=it.vpc, DhcpOptionsId=it.dhcp),
    ),
    "AcceptVpcPeeringConnection": (asked, accept),
    "DeleteVpcPeeringConnection": (
        routed,
        lambda ec2, it: ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=it.peering),
    ),
    "CreateVpcEndpoint": (exposed, endpoint),
    "DeleteVpcEndpoints": (routed, lambda ec2, it: ec2.delete_vpc_endpoints(VpcEndpointIds=[it.endpoint])),
    "CreateCustomerGateway": (network, lambda ec2, _: customer(ec2)),
    "AttachVpnGateway": (attachable, lambda ec2, it: ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.vgw)),
    "DetachVpnGateway": (connected, lambda ec2, it: ec2.detach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.further)),
    "CreateVpnConnection": (attachable, connect),
    "DeleteVpnConnection": (
        connected,
        lambda ec2, it: ec2.delete_vpn_connection(VpnConnectionId=it.connection),
    ),
}


@pytest.mark.parametrize("again", [False, True], ids=["mended", "asked again"])
@pytest.mark.parametrize("name", CALLS)
def test_what_a_killed_process_leaves_is_whole_and_can_be_deleted(build, name, again):
    """Before anything is mended the same may be asked for again, of another process."""
    setting, call = CALLS[name]
    house = build()
    ec2 = house.client()
    mend = house.mend
    moment, crashed = 0, True
    while crashed:
        it = setting(ec2)
        house.mend = (lambda: None) if again else mend
        crashed = crash_at(house, moment, lambda: call(ec2, it))  # noqa: B023 - called at once
        if again:
            with suppress(ClientError):
                call(ec2, it)
        mend()
        demand_whole(ec2)
        demand_told(house, Context(house.account[0], house.world))
        clear(ec2)
        mend()
        demand_nothing(house, ec2)
        moment += 1
    assert moment > 1


def demand_nothing(house, ec2):
    """Nothing but what the account began with is listed, on record, or in the cloud; what is buried has its time."""
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    assert vpc["IsDefault"]
    records = house.store.view(house.account[0]).records.values()
    assert [one for one in records if one.gone is None] == []
    session = house.cloud.session(house.account[0])
    assert len(session.networks.list_networks()) == 1
    assert list(session.ports.list_ports()) == []
    assert list(session.addresses.list_addresses()) == []
