"""What holds of an account's networks at any time, whoever asked for what at once and whatever crashed."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from itertools import combinations
from typing import Any

from house import House

from isthmus.context import Context
from isthmus.core import networks, wiring

GONE = ("deleted", "failed", "rejected", "expired")


def demand_whole(ec2: Any) -> None:
    """What names another thing names one that is there; what there is once is there once."""
    vpcs = {one["VpcId"]: one for one in ec2.describe_vpcs()["Vpcs"]}
    subnets = {one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    attached = _attachments(ec2)
    for vpc, kinds in attached.items():
        assert vpc in vpcs
        assert len(kinds) == len(set(kinds)), f"{vpc} has several gateways of a kind"
    for name, where in _within(ec2):
        assert where in vpcs, f"{name} is in {where}"
    ways = {one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]}
    for table in ec2.describe_route_tables()["RouteTables"]:
        assert {one["GatewayId"] for one in table["Routes"] if one.get("GatewayId", "").startswith("vpce-")} <= ways
    used = _associated(ec2)
    assert {subnet for _, subnet in used} <= subnets
    assert sorted(subnet for kind, subnet in used if kind == "acl") == sorted(subnets)
    sets = {one["DhcpOptionsId"] for one in ec2.describe_dhcp_options()["DhcpOptions"]}
    assert {one["DhcpOptionsId"] for one in vpcs.values()} <= {"default", *sets}
    for port in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        if "Association" in port:
            assert "igw" in attached.get(port["VpcId"], ()), f"{port['VpcId']} has public addresses and no gateway"
    _demand_peerings(ec2, vpcs)
    _demand_tunnels(ec2)


def demand_told(house: House, cx: Context) -> None:
    """The cloud was told how an account's networks are connected."""
    api = house.cloud.session(cx.tenant("memory")).networks
    for network in networks.networks(cx):
        assert api.wiring_of(network.noun.native) == wiring.compiled(cx, network)


def _attachments(ec2: Any) -> dict[str, list[str]]:
    """The kinds of gateways of each VPC."""
    found: dict[str, list[str]] = {}
    for one in ec2.describe_internet_gateways()["InternetGateways"]:
        for held in one["Attachments"]:
            found.setdefault(held["VpcId"], []).append("igw")
    for one in ec2.describe_vpn_gateways()["VpnGateways"]:
        for held in one["VpcAttachments"]:
            found.setdefault(held["VpcId"], []).append("vgw")
    return found


def _within(ec2: Any) -> Iterator[tuple[str, str]]:
    """What is in a VPC, and in which."""
    yield from ((one["RouteTableId"], one["VpcId"]) for one in ec2.describe_route_tables()["RouteTables"])
    yield from ((one["NetworkAclId"], one["VpcId"]) for one in ec2.describe_network_acls()["NetworkAcls"])
    yield from ((one["VpcEndpointId"], one["VpcId"]) for one in ec2.describe_vpc_endpoints()["VpcEndpoints"])
    yield from ((one["SubnetId"], one["VpcId"]) for one in ec2.describe_subnets()["Subnets"])
    for one in ec2.describe_nat_gateways()["NatGateways"]:
        if one["State"] not in GONE:
            yield one["NatGatewayId"], one["VpcId"]
    for one in ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]:
        yield one["EgressOnlyInternetGatewayId"], one["Attachments"][0]["VpcId"]


def _associated(ec2: Any) -> list[tuple[str, str]]:
    """Which subnets have a table of their own, and which ones an ACL."""
    tables, acls = ec2.describe_route_tables()["RouteTables"], ec2.describe_network_acls()["NetworkAcls"]
    held = [("table", one["SubnetId"]) for table in tables for one in table["Associations"] if "SubnetId" in one]
    assert all(sum(one["Main"] for one in ec2_vpc) == 1 for ec2_vpc in _mains(tables).values())
    return [*held, *(("acl", one["SubnetId"]) for acl in acls for one in acl["Associations"])]


def _mains(tables: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for table in tables:
        found.setdefault(table["VpcId"], []).extend(table["Associations"])
    return found


def _demand_peerings(ec2: Any, vpcs: dict[str, Any]) -> None:
    for one in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
        if one["Status"]["Code"] in GONE:
            continue
        both = [one[side]["VpcId"] for side in ("RequesterVpcInfo", "AccepterVpcInfo")]
        assert set(both) <= set(vpcs)
        if one["Status"]["Code"] == "active":
            ranges = [[ip_network(held["CidrBlock"]) for held in vpcs[vpc]["CidrBlockAssociationSet"]] for vpc in both]
            assert not any(a.overlaps(b) for a in ranges[0] for b in ranges[1])


def _demand_tunnels(ec2: Any) -> None:
    live = [one for one in ec2.describe_vpn_connections()["VpnConnections"] if one["State"] not in GONE]
    there = {one["VpnGatewayId"] for one in ec2.describe_vpn_gateways()["VpnGateways"] if one["State"] not in GONE}
    assert {one["VpnGatewayId"] for one in live} <= there
    customers = ec2.describe_customer_gateways()["CustomerGateways"]
    mine = {
        one["CustomerGatewayId"]: (one["IpAddress"], one["BgpAsn"]) for one in customers if one["State"] not in GONE
    }
    assert {one["CustomerGatewayId"] for one in live} <= set(mine)
    assert len(set(mine.values())) == len(mine)
    tunnels = [(one["VpnGatewayId"], each) for one in live for each in one["Options"]["TunnelOptions"]]
    for (gateway, one), (other_gateway, other) in combinations(tunnels, 2):
        assert one["OutsideIpAddress"] != other["OutsideIpAddress"]
        assert (gateway, one["TunnelInsideCidr"]) != (other_gateway, other["TunnelInsideCidr"])


def clear(ec2: Any) -> None:
    """Delete what an account has beside what it began with, each after what depends on it."""
    own = [one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"] if not one["IsDefault"]]
    for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]:
        assert ec2.delete_vpc_endpoints(VpcEndpointIds=[one["VpcEndpointId"]])["Unsuccessful"] == []
    for one in ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]:
        if one["Status"]["Code"] not in GONE:
            ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=one["VpcPeeringConnectionId"])
    for one in ec2.describe_nat_gateways()["NatGateways"]:
        if one["State"] not in GONE:
            ec2.delete_nat_gateway(NatGatewayId=one["NatGatewayId"])
    _clear_ports(ec2)
    _clear_gateways(ec2, own)
    _clear_vpns(ec2)
    for one in ec2.describe_subnets()["Subnets"]:
        if not one["DefaultForAz"]:
            ec2.delete_subnet(SubnetId=one["SubnetId"])
    _clear_networks(ec2, own)


def _clear_ports(ec2: Any) -> None:
    for one in ec2.describe_addresses()["Addresses"]:
        if "AssociationId" in one:
            ec2.disassociate_address(AssociationId=one["AssociationId"])
        ec2.release_address(AllocationId=one["AllocationId"])
    for one in ec2.describe_network_interfaces()["NetworkInterfaces"]:
        ec2.delete_network_interface(NetworkInterfaceId=one["NetworkInterfaceId"])


def _clear_gateways(ec2: Any, own: list[str]) -> None:
    for one in ec2.describe_internet_gateways()["InternetGateways"]:
        vpcs = [held["VpcId"] for held in one["Attachments"]]
        if not vpcs or vpcs[0] in own:
            for vpc in vpcs:
                ec2.detach_internet_gateway(InternetGatewayId=one["InternetGatewayId"], VpcId=vpc)
            ec2.delete_internet_gateway(InternetGatewayId=one["InternetGatewayId"])
    for one in ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]:
        known = one["EgressOnlyInternetGatewayId"]
        ec2.delete_egress_only_internet_gateway(EgressOnlyInternetGatewayId=known)


def _clear_vpns(ec2: Any) -> None:
    for one in ec2.describe_vpn_connections()["VpnConnections"]:
        if one["State"] not in GONE:
            ec2.delete_vpn_connection(VpnConnectionId=one["VpnConnectionId"])
    for one in ec2.describe_vpn_gateways()["VpnGateways"]:
        for held in one["VpcAttachments"]:
            ec2.detach_vpn_gateway(VpnGatewayId=one["VpnGatewayId"], VpcId=held["VpcId"])
        if one["State"] not in GONE:
            ec2.delete_vpn_gateway(VpnGatewayId=one["VpnGatewayId"])
    for one in ec2.describe_customer_gateways()["CustomerGateways"]:
        if one["State"] not in GONE:
            ec2.delete_customer_gateway(CustomerGatewayId=one["CustomerGatewayId"])


def _clear_networks(ec2: Any, own: list[str]) -> None:
    for table in ec2.describe_route_tables()["RouteTables"]:
        if not any(one["Main"] for one in table["Associations"]):
            ec2.delete_route_table(RouteTableId=table["RouteTableId"])
    for acl in ec2.describe_network_acls()["NetworkAcls"]:
        if not acl["IsDefault"]:
            ec2.delete_network_acl(NetworkAclId=acl["NetworkAclId"])
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        if group["GroupName"] != "default":
            ec2.delete_security_group(GroupId=group["GroupId"])
    for vpc in own:
        ec2.delete_vpc(VpcId=vpc)
    used = {vpc["DhcpOptionsId"] for vpc in ec2.describe_vpcs()["Vpcs"]}
    for one in ec2.describe_dhcp_options()["DhcpOptions"]:
        if one["DhcpOptionsId"] not in used:
            ec2.delete_dhcp_options(DhcpOptionsId=one["DhcpOptionsId"])
