"""VPN gateways, customer gateways and the connections between them."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network
from xml.etree import ElementTree

import pytest
from asking import refusal, tags, where


@pytest.fixture
def house(build):
    return build(terminated_visible=timedelta(seconds=30))


@pytest.fixture
def vgw(ec2):
    return ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]


@pytest.fixture
def cgw(ec2):
    made = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.77", BgpAsn=65010)
    return made["CustomerGateway"]["CustomerGatewayId"]


def connect(ec2, vgw, cgw, **options):
    asked = {"Type": "ipsec.1", "VpnGatewayId": vgw, "CustomerGatewayId": cgw, "Options": options}
    return ec2.create_vpn_connection(**asked)["VpnConnection"]


def gateway(ec2, known):
    [found] = ec2.describe_vpn_gateways(VpnGatewayIds=[known])["VpnGateways"]
    return found


def connection(ec2, known):
    [found] = ec2.describe_vpn_connections(VpnConnectionIds=[known])["VpnConnections"]
    return found


def test_a_gateway_is_attached_to_one_vpc(ec2, vpc, vgw):
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    assert ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)["VpcAttachment"]["VpcId"] == vpc
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)

    assert gateway(ec2, vgw)["VpcAttachments"] == [{"State": "attached", "VpcId": vpc}]
    assert gateway(ec2, vgw)["AmazonSideAsn"] == 64512
    assert refusal(ec2.attach_vpn_gateway, VpnGatewayId=vgw, VpcId=other) == "InvalidVpnGatewayState"
    second = ec2.create_vpn_gateway(Type="ipsec.1", AmazonSideAsn=65001)["VpnGateway"]["VpnGatewayId"]
    assert refusal(ec2.attach_vpn_gateway, VpnGatewayId=second, VpcId=vpc) == "InvalidVpnGatewayState"
    assert refusal(ec2.delete_vpn_gateway, VpnGatewayId=vgw) == "IncorrectState"
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    found = ec2.describe_vpn_gateways(Filters=where(**{"attachment.vpc-id": vpc}))["VpnGateways"]
    assert [each["VpnGatewayId"] for each in found] == [vgw]
    asked = {"VpnGatewayId": vgw, "VpcId": other}
    assert refusal(ec2.detach_vpn_gateway, **asked) == "InvalidVpnGatewayAttachment.NotFound"

    ec2.detach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)
    ec2.delete_vpn_gateway(VpnGatewayId=vgw)
    ec2.delete_vpc(VpcId=vpc)


def test_what_is_deleted_is_shown_for_a_while(house, ec2, vgw, cgw):
    made = connect(ec2, vgw, cgw)["VpnConnectionId"]
    assert refusal(ec2.delete_customer_gateway, CustomerGatewayId=cgw) == "IncorrectState"
    assert refusal(ec2.delete_vpn_gateway, VpnGatewayId=vgw) == "IncorrectState"

    ec2.delete_vpn_connection(VpnConnectionId=made)
    ec2.delete_vpn_gateway(VpnGatewayId=vgw)
    ec2.delete_customer_gateway(CustomerGatewayId=cgw)

    assert (gateway(ec2, vgw)["State"], connection(ec2, made)["State"]) == ("deleted", "deleted")
    assert "CustomerGatewayConfiguration" not in connection(ec2, made)
    assert refusal(ec2.delete_vpn_connection, VpnConnectionId=made) == "InvalidVpnConnectionID.NotFound"
    house.settle(31)
    assert refusal(gateway, ec2=ec2, known=vgw) == "InvalidVpnGatewayID.NotFound"
    assert refusal(connection, ec2=ec2, known=made) == "InvalidVpnConnectionID.NotFound"
    code = refusal(ec2.describe_customer_gateways, CustomerGatewayIds=[cgw])
    assert code == "InvalidCustomerGatewayID.NotFound"


def test_a_customer_s_gateway_is_made_once(ec2, cgw):
    again = ec2.create_customer_gateway(Type="ipsec.1", IpAddress="198.51.100.77", BgpAsn=65010)["CustomerGateway"]
    other = ec2.create_customer_gateway(Type="ipsec.1", IpAddress="198.51.100.77")["CustomerGateway"]

    assert (again["CustomerGatewayId"], again["BgpAsn"]) == (cgw, "65010")
    assert (other["CustomerGatewayId"] != cgw, other["BgpAsn"]) == (True, "65000")
    for name, value in {"bgp-asn": "65010", "ip-address": "198.51.100.77", "state": "available"}.items():
        found = ec2.describe_customer_gateways(Filters=[{"Name": name, "Values": [value]}])["CustomerGateways"]
        assert cgw in [each["CustomerGatewayId"] for each in found], name


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Type": "ipsec.2", "IpAddress": "198.51.100.1"}, "InvalidParameterValue"),
        ({"Type": "ipsec.1"}, "MissingParameter"),
        ({"Type": "ipsec.1", "IpAddress": "nonsense"}, "InvalidParameterValue"),
        ({"Type": "ipsec.1", "IpAddress": "198.51.100.1", "CertificateArn": "arn:x"}, "UnsupportedOperation"),
    ],
)
def test_a_customer_s_gateway_that_cannot_be_is_refused(ec2, asked, code):
    assert refusal(ec2.create_customer_gateway, **asked) == code


def test_a_connection_says_how_the_customer_s_router_is_set_up(ec2, vgw, cgw):
    given = {"TunnelInsideCidr": "169.254.10.0/30", "PreSharedKey": "a.secret_key"}
    made = connect(ec2, vgw, cgw, TunnelOptions=[given])

    assert made["State"] == "pending"
    found = connection(ec2, made["VpnConnectionId"])
    assert (found["State"], found["Category"], found["VpnGatewayId"]) == ("available", "VPN", vgw)
    first, second = found["Options"]["TunnelOptions"]
    assert (first["TunnelInsideCidr"], first["PreSharedKey"]) == ("169.254.10.0/30", "a.secret_key")
    assert ip_network(second["TunnelInsideCidr"]).subnet_of(ip_network("169.254.0.0/16"))
    root = ElementTree.fromstring(found["CustomerGatewayConfiguration"])
    assert (root.tag, root.get("id")) == ("vpn_connection", made["VpnConnectionId"])
    tunnels = root.findall("ipsec_tunnel")
    keys = [tunnel.findtext("ike/pre_shared_key") for tunnel in tunnels]
    assert keys == [first["PreSharedKey"], second["PreSharedKey"]]
    for tunnel, said in zip(tunnels, (first, second), strict=True):
        assert tunnel.findtext("customer_gateway/tunnel_outside_address/ip_address") == "198.51.100.77"
        assert tunnel.findtext("vpn_gateway/tunnel_outside_address/ip_address") == said["OutsideIpAddress"]
        inside = ip_address(tunnel.findtext("vpn_gateway/tunnel_inside_address/ip_address"))
        assert inside in ip_network(said["TunnelInsideCidr"])
        assert tunnel.findtext("customer_gateway/bgp/asn") == "65010"
    assert {each["Status"] for each in found["VgwTelemetry"]} == {"DOWN"}


def test_the_keys_of_tunnels_are_not_in_the_store_s_file(house, ec2, vgw, cgw, tmp_path):
    connect(ec2, vgw, cgw, TunnelOptions=[{"PreSharedKey": "find.me_if_you_can"}])

    files = list(tmp_path.glob("isthmus-*"))
    assert files
    assert not [file for file in files if b"find.me_if_you_can" in file.read_bytes()]


@pytest.mark.parametrize(
    "options",
    [
        {"TunnelOptions": [{"TunnelInsideCidr": "10.0.0.0/30"}]},
        {"TunnelOptions": [{"TunnelInsideCidr": "169.254.0.0/30"}]},
        {"TunnelOptions": [{"TunnelInsideCidr": "169.254.10.0/29"}]},
        {"TunnelOptions": [{"PreSharedKey": "0short"}]},
        {"TunnelOptions": [{}, {"PreSharedKey": "x" * 8}, {"PreSharedKey": "x" * 8}]},
        {"TunnelOptions": [{"TunnelInsideCidr": "169.254.10.0/30"}, {"TunnelInsideCidr": "169.254.10.0/30"}]},
    ],
)
def test_tunnels_that_cannot_be_are_refused(ec2, vgw, cgw, options):
    asked = [one for one in options["TunnelOptions"] if one]
    asked = asked if len(asked) == len(options["TunnelOptions"]) else [{"PreSharedKey": "x" * 8}, *asked]
    assert refusal(connect, ec2=ec2, vgw=vgw, cgw=cgw, TunnelOptions=asked) == "InvalidParameterValue"


def test_static_routes_come_and_go(ec2, vgw, cgw):
    made = connect(ec2, vgw, cgw, StaticRoutesOnly=True)["VpnConnectionId"]
    asked = {"VpnConnectionId": made, "DestinationCidrBlock": "172.16.25.0/24"}
    ec2.create_vpn_connection_route(**asked)
    ec2.create_vpn_connection_route(**asked)

    [route] = connection(ec2, made)["Routes"]
    assert (route["DestinationCidrBlock"], route["State"]) == ("172.16.25.0/24", "available")
    found = ec2.describe_vpn_connections(Filters=where(**{"route.destination-cidr-block": "172.16.25.0/24"}))
    assert [each["VpnConnectionId"] for each in found["VpnConnections"]] == [made]
    ec2.delete_vpn_connection_route(**asked)
    assert connection(ec2, made)["Routes"] == []
    assert refusal(ec2.delete_vpn_connection_route, **asked) == "InvalidRoute.NotFound"
    dynamic = connect(ec2, vgw, cgw)["VpnConnectionId"]
    asked["VpnConnectionId"] = dynamic
    assert refusal(ec2.create_vpn_connection_route, **asked) == "InvalidParameterValue"


def test_a_route_table_takes_over_a_gateway_s_routes(ec2, vpc, vgw):
    [table] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    asked = {"RouteTableId": table["RouteTableId"], "GatewayId": vgw}
    assert refusal(ec2.enable_vgw_route_propagation, **asked) == "InvalidParameterValue"
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)

    ec2.enable_vgw_route_propagation(**asked)

    [found] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    assert found["PropagatingVgws"] == [{"GatewayId": vgw}]
    ec2.disable_vgw_route_propagation(**asked)
    [found] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    assert found["PropagatingVgws"] == []
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="192.168.0.0/16", GatewayId=vgw)
    [found] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    assert (found["Routes"][1]["GatewayId"], found["Routes"][1]["State"]) == (vgw, "active")

    ec2.enable_vgw_route_propagation(**asked)
    ec2.detach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)
    [found] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    assert (found["PropagatingVgws"], found["Routes"][1]["State"]) == ([], "blackhole")


def test_tags_on_what_is_made(ec2):
    def wanted(kind):
        return [{"ResourceType": kind, "Tags": tags(Name="n")}]

    vgw = ec2.create_vpn_gateway(Type="ipsec.1", TagSpecifications=wanted("vpn-gateway"))["VpnGateway"]
    cgw = ec2.create_customer_gateway(
        Type="ipsec.1", IpAddress="198.51.100.9", TagSpecifications=wanted("customer-gateway")
    )["CustomerGateway"]
    made = ec2.create_vpn_connection(
        Type="ipsec.1",
        VpnGatewayId=vgw["VpnGatewayId"],
        CustomerGatewayId=cgw["CustomerGatewayId"],
        TagSpecifications=wanted("vpn-connection"),
    )["VpnConnection"]

    assert [one["Tags"] for one in (vgw, cgw, made)] == [tags(Name="n")] * 3


def test_limits(ec2, vgw, cgw):
    gateways = [vgw, *(ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"] for _ in range(4))]
    assert refusal(ec2.create_vpn_gateway, Type="ipsec.1") == "VpnGatewayLimitExceeded"
    for number in range(1, 50):
        ec2.create_customer_gateway(Type="ipsec.1", PublicIp=f"203.0.113.{number}")
    asked = {"Type": "ipsec.1", "PublicIp": "203.0.113.50"}
    assert refusal(ec2.create_customer_gateway, **asked) == "CustomerGatewayLimitExceeded"
    made = [connect(ec2, one, cgw) for one in gateways for _ in range(10)]
    assert refusal(connect, ec2=ec2, vgw=vgw, cgw=cgw) == "VpnConnectionLimitExceeded"

    tunnels = [(one["VpnGatewayId"], each) for one in made for each in one["Options"]["TunnelOptions"]]
    assert len({each["OutsideIpAddress"] for _, each in tunnels}) == len(tunnels)
    assert len({(gateway, each["TunnelInsideCidr"]) for gateway, each in tunnels}) == len(tunnels)
    ec2.delete_vpn_connection(VpnConnectionId=made[0]["VpnConnectionId"])
    connect(ec2, vgw, cgw)


def test_connections_of_a_gateway_have_inside_ranges_of_their_own(ec2, vgw, cgw):
    wanted = [{"TunnelInsideCidr": "169.254.10.0/30"}]
    made = connect(ec2, vgw, cgw, TunnelOptions=wanted)["VpnConnectionId"]

    code = refusal(connect, ec2=ec2, vgw=vgw, cgw=cgw, TunnelOptions=wanted)
    assert code == "InvalidParameterValue"
    other = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    connect(ec2, other, cgw, TunnelOptions=wanted)
    ec2.delete_vpn_connection(VpnConnectionId=made)
    connect(ec2, vgw, cgw, TunnelOptions=wanted)


def test_gateways_outlive_a_vpc_that_vanishes_in_the_cloud(house, ec2, vpc, vgw, cgw):
    made = connect(ec2, vgw, cgw)["VpnConnectionId"]
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=vpc)
    igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=vpc)
    second = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    asked = ec2.create_vpc_peering_connection(VpcId=second, PeerVpcId=vpc)["VpcPeeringConnection"]
    networks = house.cloud.session(house.account[0]).networks
    [native] = [network.native for network in networks.list_networks() if network.ref == vpc]
    networks.delete_network(native)

    house.mend()

    assert (gateway(ec2, vgw)["State"], gateway(ec2, vgw)["VpcAttachments"]) == ("available", [])
    assert connection(ec2, made)["State"] == "available"
    [found] = ec2.describe_internet_gateways(InternetGatewayIds=[igw])["InternetGateways"]
    assert found["Attachments"] == []
    [peering] = ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
    ended = (peering["VpcPeeringConnectionId"], peering["Status"]["Code"])
    assert ended == (asked["VpcPeeringConnectionId"], "deleted")
    ec2.attach_vpn_gateway(VpnGatewayId=vgw, VpcId=second)
    ec2.attach_internet_gateway(InternetGatewayId=igw, VpcId=second)
