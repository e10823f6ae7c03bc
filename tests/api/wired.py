"""What tests of networks begin with, and what they ask for."""

from __future__ import annotations

from types import SimpleNamespace

S3 = "com.amazonaws.us-east-1.s3"


def network(ec2):
    """A VPC with a subnet, and what can be put into it."""
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    made = {
        "vpc": vpc,
        "subnet": ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"],
        "table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "acl": ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"],
    }
    held = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [made["subnet"]]}])
    made["held"] = held["NetworkAcls"][0]["Associations"][0]["NetworkAclAssociationId"]
    return SimpleNamespace(**made)


def entry(acl, number, **more):
    rule = {"Protocol": "-1", "RuleAction": "allow", "CidrBlock": "10.0.0.0/8", "Egress": False}
    return {"NetworkAclId": acl, "RuleNumber": number, **rule, **more}


def attachable(ec2):
    """Two VPCs, and two gateways of each kind."""
    made = {
        "vpc": ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"],
        "second": ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"],
        "igw": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "other": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "vgw": ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"],
        "further": ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"],
        "cgw": customer(ec2)["CustomerGateway"]["CustomerGatewayId"],
        "dhcp": options(ec2)["DhcpOptions"]["DhcpOptionsId"],
    }
    return SimpleNamespace(**made)


def options(ec2):
    return ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.org"]}])


def customer(ec2, address="198.51.100.77"):
    return ec2.create_customer_gateway(Type="ipsec.1", IpAddress=address)


def connect(ec2, it, **options):
    asked = {"Type": "ipsec.1", "VpnGatewayId": it.vgw, "CustomerGatewayId": it.cgw, "Options": options}
    return ec2.create_vpn_connection(**asked)["VpnConnection"]["VpnConnectionId"]


def delete_vpc(ec2, it):
    return ec2.delete_vpc(VpcId=it.vpc)


def exposed(ec2):
    """A VPC with a gateway, and an interface that an address is for."""
    it = network(ec2)
    it.igw = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw)
    it.port = ec2.create_network_interface(SubnetId=it.subnet)["NetworkInterface"]["NetworkInterfaceId"]
    it.address = ec2.allocate_address()["AllocationId"]
    return it


def expose(ec2, it):
    return ec2.associate_address(AllocationId=it.address, NetworkInterfaceId=it.port)


def detach(ec2, it):
    return ec2.detach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw)


def asked(ec2):
    """A connection of two VPCs that waits to be accepted."""
    it = attachable(ec2)
    it.peering = peer(ec2, it)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    return it


def peer(ec2, it):
    return ec2.create_vpc_peering_connection(VpcId=it.vpc, PeerVpcId=it.second)


def accept(ec2, it):
    return ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=it.peering)


def delete_subnet(ec2, it):
    return ec2.delete_subnet(SubnetId=it.subnet)


def reject(ec2, it):
    return ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=it.peering)


def nat(ec2, it):
    return ec2.create_nat_gateway(SubnetId=it.subnet, AllocationId=it.address)
