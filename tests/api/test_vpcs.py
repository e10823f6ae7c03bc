"""VPCs: made, given ranges and attributes, and deleted."""

from __future__ import annotations

import pytest
from asking import refusal, tags, where
from botocore.exceptions import ClientError
from interrupting import at_once


def one(ec2, vpc):
    [found] = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    return found


def test_a_new_vpc_is_pending_and_then_available(house, ec2):
    made = ec2.create_vpc(CidrBlock="10.7.0.9/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags(Name="n")}])

    assert made["Vpc"]["State"] == "pending"
    found = one(ec2, made["Vpc"]["VpcId"])
    assert (found["State"], found["IsDefault"], found["CidrBlock"]) == ("available", False, "10.7.0.0/16")
    assert (found["OwnerId"], found["InstanceTenancy"]) == (house.account[0], "default")
    assert found["Tags"] == tags(Name="n")
    assert len(ec2.describe_vpcs()["Vpcs"]) == 2


@pytest.mark.parametrize("cidr", ["10.0.0.0/15", "10.0.0.0/29", "10.0.0.0/8", "fd00::/64"])
def test_a_range_of_another_size_is_refused(ec2, cidr):
    assert refusal(ec2.create_vpc, CidrBlock=cidr) == "InvalidVpc.Range"


@pytest.mark.parametrize("cidr", ["10.0.0.0", "nonsense/16", "10.0.0.0/33"])
def test_a_range_that_is_none_is_refused(ec2, cidr):
    assert refusal(ec2.create_vpc, CidrBlock=cidr) == "InvalidParameterValue"


@pytest.mark.parametrize(
    "asked",
    [{"InstanceTenancy": "dedicated"}, {"AmazonProvidedIpv6CidrBlock": True}, {"Ipv4IpamPoolId": "ipam-pool-1"}],
)
def test_what_no_cloud_has_is_refused(ec2, asked):
    assert refusal(ec2.create_vpc, CidrBlock="10.0.0.0/16", **asked) == "UnsupportedOperation"


def test_a_vpc_has_a_default_group_and_a_main_route_table(ec2, vpc):
    [group] = ec2.describe_security_groups(Filters=where(vpc_id=vpc))["SecurityGroups"]
    [table] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]

    assert group["GroupName"] == "default"
    assert [pair["GroupId"] for pair in group["IpPermissions"][0]["UserIdGroupPairs"]] == [group["GroupId"]]
    assert [held["Main"] for held in table["Associations"]] == [True]
    [local] = table["Routes"]
    assert local == {
        "DestinationCidrBlock": "10.7.0.0/16",
        "GatewayId": "local",
        "Origin": "CreateRouteTable",
        "State": "active",
    }
    assert (
        ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])["InternetGateways"]
        == []
    )


def test_the_default_vpc_leads_to_the_internet(ec2):
    [default] = ec2.describe_vpcs(Filters=where(is_default="true"))["Vpcs"]
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    [table] = ec2.describe_route_tables(Filters=where(vpc_id=default["VpcId"]))["RouteTables"]

    assert gateway["Attachments"] == [{"State": "available", "VpcId": default["VpcId"]}]
    assert [(route["DestinationCidrBlock"], route["GatewayId"]) for route in table["Routes"]] == [
        ("172.31.0.0/16", "local"),
        ("0.0.0.0/0", gateway["InternetGatewayId"]),
    ]


@pytest.mark.parametrize(
    ("name", "first", "member"),
    [
        ("enableDnsSupport", True, "EnableDnsSupport"),
        ("enableDnsHostnames", False, "EnableDnsHostnames"),
        ("enableNetworkAddressUsageMetrics", False, "EnableNetworkAddressUsageMetrics"),
    ],
)
def test_an_attribute_begins_as_documented_and_changes(ec2, vpc, name, first, member):
    asked = {"VpcId": vpc, "Attribute": name}
    assert ec2.describe_vpc_attribute(**asked)[member] == {"Value": first}

    ec2.modify_vpc_attribute(VpcId=vpc, **{member: {"Value": not first}})

    assert ec2.describe_vpc_attribute(**asked)[member] == {"Value": not first}


def test_one_attribute_changes_at_a_time(ec2, vpc):
    both = {"EnableDnsSupport": {"Value": False}, "EnableDnsHostnames": {"Value": True}}

    assert refusal(ec2.modify_vpc_attribute, VpcId=vpc, **both) == "InvalidParameterCombination"
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})
    names = {"VpcId": vpc, "EnableDnsHostnames": {"Value": True}}
    assert refusal(ec2.modify_vpc_attribute, **names) == "InvalidParameterCombination"


def test_without_dns_support_the_cloud_s_name_server_is_silent(house, ec2, vpc):
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsSupport={"Value": False})

    networks = house.cloud.session(house.account[0]).networks
    [native] = [one.native for one in networks.list_networks() if one.ref == vpc]
    assert networks.wiring_of(native).resolver is False


def test_a_vpc_gets_further_ranges(ec2, vpc):
    answer = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.8.0.0/16")
    association = answer["CidrBlockAssociation"]["AssociationId"]
    assert answer["CidrBlockAssociation"]["CidrBlockState"]["State"] == "associating"

    assert [one["CidrBlock"] for one in one(ec2, vpc)["CidrBlockAssociationSet"]] == ["10.7.0.0/16", "10.8.0.0/16"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    [table] = ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]
    assert len(table["Routes"]) == 2
    assert refusal(ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.8.0.0/17") == "CidrConflict"
    assert refusal(ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.8.0.0/16") == "InvalidVpc.Range"
    assert refusal(ec2.disassociate_vpc_cidr_block, AssociationId=association) == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.disassociate_vpc_cidr_block(AssociationId=association)
    code = "InvalidVpcCidrBlockAssociationIdError.NotFound"
    assert refusal(ec2.disassociate_vpc_cidr_block, AssociationId=association) == code
    first = one(ec2, vpc)["CidrBlockAssociationSet"][0]["AssociationId"]
    assert refusal(ec2.disassociate_vpc_cidr_block, AssociationId=first) == "OperationNotPermitted"


def test_a_vpc_has_at_most_five_ranges(ec2, vpc):
    for number in range(8, 12):
        ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock=f"10.{number}.0.0/16")

    assert refusal(ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.12.0.0/16") == "CidrLimitExceeded"


def test_a_vpc_goes_with_all_that_it_began_with(ec2, vpc):
    ec2.delete_vpc(VpcId=vpc)

    assert refusal(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "InvalidVpcID.NotFound"
    for listed, member in (
        (ec2.describe_route_tables, "RouteTables"),
        (ec2.describe_security_groups, "SecurityGroups"),
        (ec2.describe_subnets, "Subnets"),
    ):
        assert listed(Filters=where(vpc_id=vpc))[member] == []


@pytest.mark.parametrize("what", ["subnet", "group", "gateway", "table"])
def test_a_vpc_with_things_in_it_stays(ec2, vpc, what):
    if what == "subnet":
        ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")
    elif what == "group":
        ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)
    elif what == "gateway":
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    else:
        ec2.create_route_table(VpcId=vpc)

    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    assert one(ec2, vpc)["State"] == "available"


def test_the_default_vpc_is_deleted_and_made_again(house, ec2, image):
    [default] = ec2.describe_vpcs()["Vpcs"]
    assert refusal(ec2.create_default_vpc) == "DefaultVpcAlreadyExists"
    zone = "us-east-1a"
    assert refusal(ec2.create_default_subnet, AvailabilityZone=zone) == "DefaultSubnetAlreadyExistsInAvailabilityZone"
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    assert refusal(ec2.delete_vpc, VpcId=default["VpcId"]) == "DependencyViolation"
    [gateway] = ec2.describe_internet_gateways()["InternetGateways"]
    ec2.detach_internet_gateway(VpcId=default["VpcId"], InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_internet_gateway(InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_vpc(VpcId=default["VpcId"])
    assert ec2.describe_vpcs()["Vpcs"] == []
    assert refusal(ec2.create_default_subnet, AvailabilityZone=zone) == "DefaultVpcDoesNotExist"
    launch = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, **launch) in ("VPCIdNotSpecified", "InvalidSubnetID.NotFound")

    made = ec2.create_default_vpc()["Vpc"]

    assert one(ec2, made["VpcId"])["IsDefault"]
    assert [one["DefaultForAz"] for one in ec2.describe_subnets()["Subnets"]] == [True, True]
    [table] = ec2.describe_route_tables()["RouteTables"]
    assert [route["DestinationCidrBlock"] for route in table["Routes"]] == ["172.31.0.0/16", "0.0.0.0/0"]
    assert ec2.run_instances(**launch)["Instances"][0]["VpcId"] == made["VpcId"]
    house.settle()


def delete_default(ec2):
    """The default VPC with its subnets; the gateway that it had stays."""
    [default] = ec2.describe_vpcs(Filters=where(is_default="true"))["Vpcs"]
    for subnet in ec2.describe_subnets(Filters=where(vpc_id=default["VpcId"]))["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    [gateway] = ec2.describe_internet_gateways(Filters=where(**{"attachment.vpc-id": default["VpcId"]}))[
        "InternetGateways"
    ]
    ec2.detach_internet_gateway(VpcId=default["VpcId"], InternetGatewayId=gateway["InternetGatewayId"])
    ec2.delete_vpc(VpcId=default["VpcId"])
    return gateway["InternetGatewayId"]


def test_the_gateway_of_a_deleted_default_vpc_is_attached_to_another(house, ec2, vpc):
    gateway = delete_default(ec2)
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    house.mend()

    [found] = ec2.describe_internet_gateways()["InternetGateways"]
    assert (found["InternetGatewayId"], found["Attachments"][0]["VpcId"]) == (gateway, vpc)
    ec2.create_default_vpc()
    assert len(ec2.describe_internet_gateways()["InternetGateways"]) == 2


def test_of_two_default_vpcs_at_once_one_is_made(house, ec2):
    delete_default(ec2)
    codes = []

    def create():
        try:
            ec2.create_default_vpc()
        except ClientError as refused:
            codes.append(refused.response["Error"]["Code"])

    assert at_once(house, 0, create, create)

    assert codes == ["DefaultVpcAlreadyExists"]
    assert [found["IsDefault"] for found in ec2.describe_vpcs()["Vpcs"]] == [True]


def test_a_default_subnet_is_deleted_and_made_again(ec2):
    [first] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1a"))["Subnets"]
    ec2.delete_subnet(SubnetId=first["SubnetId"])

    made = ec2.create_default_subnet(AvailabilityZone="us-east-1a")["Subnet"]

    assert (made["CidrBlock"], made["DefaultForAz"]) == (first["CidrBlock"], True)
