"""Quotas: each holds with its own code, what is refused leaves nothing, and one more lets in one more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from asking import refusal
from botocore.exceptions import ClientError

from isthmus.aws.ec2.faults import ANY_QUOTA, QUOTA
from isthmus.quotas import QUOTAS

_NETWORK = "10.0.0.0/16"
_EVERYTHING = {"CidrBlock": "0.0.0.0/0", "Protocol": "-1", "RuleAction": "allow", "Egress": False}


class Place:
    """Where more of everything can be made; `number` is another one each time."""

    def __init__(self, house: Any, ec2: Any, image: str) -> None:
        self.house, self.ec2 = house, ec2
        self.launch = {"ImageId": image, "InstanceType": "t3.micro"}
        self.vpc = ec2.create_vpc(CidrBlock=_NETWORK)["Vpc"]["VpcId"]
        self.subnet = ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.255.0/24")["Subnet"]["SubnetId"]
        self.others = [ec2.create_vpc(CidrBlock=f"10.{200 + one}.0.0/16")["Vpc"]["VpcId"] for one in range(8)]
        self.volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
        [made] = ec2.run_instances(**self.launch, MinCount=1, MaxCount=1)["Instances"]
        self.instance, self.beside = made["InstanceId"], made["SubnetId"]
        self.interface = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
        self.gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        self.table = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        self.acl = ec2.create_network_acl(VpcId=self.vpc)["NetworkAcl"]["NetworkAclId"]
        self.group = ec2.create_security_group(GroupName="g", Description="d", VpcId=self.vpc)["GroupId"]
        self.template = template(self, "first")["LaunchTemplate"]["LaunchTemplateId"]
        self.vpn = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
        self.customer = customer(self, 250)["CustomerGateway"]["CustomerGatewayId"]
        house.settle()


def template(at: Place, name: str) -> Any:
    return at.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=at.launch)


def customer(at: Place, number: int) -> Any:
    return at.ec2.create_customer_gateway(Type="ipsec.1", PublicIp=f"203.0.113.{number}")


def peering(at: Place, number: int) -> str:
    made = at.ec2.create_vpc_peering_connection(VpcId=at.vpc, PeerVpcId=at.others[number])
    return str(made["VpcPeeringConnection"]["VpcPeeringConnectionId"])


def accepted(at: Place, number: int) -> None:
    at.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering(at, number))


def vpn_connection(at: Place, _: int) -> None:
    at.ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=at.customer, VpnGatewayId=at.vpn)


def capacity(at: Place, _: int) -> None:
    asked = {"InstanceType": "t3.micro", "InstancePlatform": "Linux/UNIX", "AvailabilityZone": "us-east-1a"}
    at.ec2.create_capacity_reservation(**asked, InstanceCount=1)


def fleet(at: Place, _: int) -> None:
    specification = {"LaunchTemplateId": at.template, "Version": "1"}
    at.ec2.create_fleet(
        Type="request",
        LaunchTemplateConfigs=[{"LaunchTemplateSpecification": specification}],
        TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
    )


def rule(at: Place, number: int) -> None:
    permission = {"IpProtocol": "tcp", "FromPort": number, "ToPort": number, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    at.ec2.authorize_security_group_ingress(GroupId=at.group, IpPermissions=[permission])


def image(at: Place, number: int) -> None:
    at.ec2.create_image(InstanceId=at.instance, Name=f"image {number}")
    at.house.settle()


def guards(at: Place, number: int) -> None:
    """An interface with one group more than the one before."""
    names = [f"guard {number} {one}" for one in range(number)]
    groups = [at.ec2.create_security_group(GroupName=name, Description="d", VpcId=at.vpc)["GroupId"] for name in names]
    at.ec2.create_network_interface(SubnetId=at.subnet, Groups=groups)


def attached(at: Place, number: int) -> None:
    made = at.ec2.create_network_interface(SubnetId=at.beside)["NetworkInterface"]["NetworkInterfaceId"]
    at.ec2.attach_network_interface(NetworkInterfaceId=made, InstanceId=at.instance, DeviceIndex=number)


def spot_instance(at: Place, _: int) -> None:
    at.ec2.run_instances(**at.launch, MinCount=1, MaxCount=1, InstanceMarketOptions={"MarketType": "spot"})


MAKE: Mapping[str, Callable[[Place, int], object]] = {
    "instances": lambda at, _: at.ec2.run_instances(**at.launch, MinCount=1, MaxCount=1),
    "spot_instances": spot_instance,
    "interfaces_per_server": attached,
    "addresses_per_interface": lambda at, _: at.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=at.interface, SecondaryPrivateIpAddressCount=1
    ),
    "groups_per_server": guards,
    "volumes": lambda at, _: at.ec2.create_volume(AvailabilityZone="us-east-1a", Size=1),
    "snapshots": lambda at, _: at.ec2.create_snapshot(VolumeId=at.volume),
    "images": image,
    "key_pairs": lambda at, number: at.ec2.create_key_pair(KeyName=f"key {number}"),
    "addresses": lambda at, _: at.ec2.allocate_address(Domain="vpc"),
    "vpcs": lambda at, _: at.ec2.create_vpc(CidrBlock=_NETWORK),
    "ranges_per_vpc": lambda at, number: at.ec2.associate_vpc_cidr_block(VpcId=at.vpc, CidrBlock=f"10.{number}.0.0/16"),
    "subnets_per_vpc": lambda at, number: at.ec2.create_subnet(VpcId=at.vpc, CidrBlock=f"10.0.{number}.0/24"),
    "interfaces": lambda at, _: at.ec2.create_network_interface(SubnetId=at.subnet),
    "groups": lambda at, number: at.ec2.create_security_group(GroupName=f"group {number}", Description="d"),
    "rules_per_group": rule,
    "route_tables_per_vpc": lambda at, _: at.ec2.create_route_table(VpcId=at.vpc),
    "routes_per_table": lambda at, number: at.ec2.create_route(
        RouteTableId=at.table, DestinationCidrBlock=f"192.0.{number}.0/24", GatewayId=at.gateway
    ),
    "acls_per_vpc": lambda at, _: at.ec2.create_network_acl(VpcId=at.vpc),
    "rules_per_acl": lambda at, number: at.ec2.create_network_acl_entry(
        NetworkAclId=at.acl, RuleNumber=number, **_EVERYTHING
    ),
    "internet_gateways": lambda at, _: at.ec2.create_internet_gateway(),
    "egress_gateways": lambda at, _: at.ec2.create_egress_only_internet_gateway(VpcId=at.vpc),
    "nat_gateways": lambda at, _: at.ec2.create_nat_gateway(SubnetId=at.subnet, ConnectivityType="private"),
    "dhcp_options": lambda at, number: at.ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": [f"n{number}.example.org"]}]
    ),
    "endpoints_per_vpc": lambda at, _: at.ec2.create_vpc_endpoint(
        VpcId=at.vpc, ServiceName="com.amazonaws.us-east-1.s3"
    ),
    "peerings_per_vpc": accepted,
    "peering_requests": peering,
    "vpn_gateways": lambda at, _: at.ec2.create_vpn_gateway(Type="ipsec.1"),
    "customer_gateways": customer,
    "vpn_connections": vpn_connection,
    "connections_per_vpn_gateway": vpn_connection,
    "launch_templates": lambda at, number: template(at, f"template-{number}"),
    "versions_per_template": lambda at, _: at.ec2.create_launch_template_version(
        LaunchTemplateId=at.template, LaunchTemplateData=at.launch
    ),
    "placement_groups": lambda at, number: at.ec2.create_placement_group(GroupName=f"pg {number}", Strategy="spread"),
    "capacity_reservations": capacity,
    "fleets": fleet,
}
_HAVE = {"vpcs": 10, "groups": 11, "instances": 1, "volumes": 2, "interfaces": 1}
"""What a place has already of what has no room for three."""


MAKE_MORE = frozenset({"groups_per_server", "interfaces_per_server", "peerings_per_vpc"})
"""For which something else is made before what is refused."""


def answer(call: Callable[[], object]) -> Mapping[str, str]:
    """What a call is refused with; nothing if it is not."""
    try:
        call()
    except ClientError as refused:
        return refused.response["Error"]
    return {}


def test_each_quota_is_shown() -> None:
    assert set(MAKE) == set(QUOTAS)


@pytest.mark.parametrize("name", MAKE)
def test_a_quota_holds_and_one_more_lets_in_one_more(name: str, house: Any, ec2: Any, image: str) -> None:
    at, quotas, numbers = Place(house, ec2, image), house.world.limits.quotas, count(1)

    def until_refused(most: int) -> int:
        quotas[name] = most
        for made in range(most + 1):
            said = answer(lambda: MAKE[name](at, next(numbers)))
            if said:
                assert said["Code"] == QUOTA.get(QUOTAS[name].kind, ANY_QUOTA)
                assert str(most) in said["Message"]
                return made
        raise AssertionError(f"{most + 1} of {name} were made")

    most = 3 + _HAVE.get(name, 0)
    assert until_refused(most) >= 1
    before = set(house.store.view(house.account[0]).records)
    assert until_refused(most) == 0
    if name not in MAKE_MORE:
        assert set(house.store.view(house.account[0]).records) == before
    if name != "groups_per_server":  # of which each try asks for more
        assert until_refused(most + 1) == 1


def test_quotas_are_an_accounts_own(house: Any, ec2: Any, stranger: Any) -> None:
    house.world.limits.quotas["key_pairs"] = 1
    ec2.create_key_pair(KeyName="one")
    stranger.create_key_pair(KeyName="one")
    assert refusal(ec2.create_key_pair, KeyName="two") == "KeyPairLimitExceeded"


def test_a_retry_of_what_was_made_is_not_one_more(house: Any, ec2: Any) -> None:
    house.world.limits.quotas["volumes"] = 1
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1, "ClientToken": "t"}
    assert ec2.create_volume(**asked)["VolumeId"] == ec2.create_volume(**asked)["VolumeId"]


def test_what_a_launch_makes_counts_before_anything_is_made(house: Any, ec2: Any, image: str) -> None:
    launch = {"ImageId": image, "InstanceType": "t3.micro"}
    house.world.limits.quotas.update(volumes=3, spot_instances=1)

    assert refusal(ec2.run_instances, **launch, MinCount=4, MaxCount=4) == "VolumeLimitExceeded"
    assert ec2.describe_instances()["Reservations"] == []
    assert len(ec2.run_instances(**launch, MinCount=1, MaxCount=5)["Instances"]) == 3
    assert refusal(ec2.create_volume, AvailabilityZone="us-east-1a", Size=1) == "VolumeLimitExceeded"
    house.world.limits.quotas.update(volumes=10)
    spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
    assert len(ec2.run_instances(**launch, **spot, MinCount=1, MaxCount=2)["Instances"]) == 1
    assert refusal(ec2.run_instances, **launch, **spot, MinCount=1, MaxCount=1) == "MaxSpotInstanceCountExceeded"


def test_a_launch_with_too_many_interfaces_or_addresses_is_refused_whole(house: Any, ec2: Any, image: str) -> None:
    launch = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    house.world.limits.quotas.update(interfaces_per_server=2, addresses_per_interface=3)

    three = [{"DeviceIndex": index} for index in range(3)]
    assert refusal(ec2.run_instances, **launch, NetworkInterfaces=three) == "AttachmentLimitExceeded"
    wide = [{"DeviceIndex": 0, "SecondaryPrivateIpAddressCount": 3}]
    assert refusal(ec2.run_instances, **launch, NetworkInterfaces=wide) == "PrivateIpAddressLimitExceeded"
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    [found] = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]
    told = found["NetworkInfo"]
    assert (told["MaximumNetworkInterfaces"], told["Ipv4AddressesPerInterface"]) == (2, 3)


@pytest.mark.parametrize(
    ("name", "action", "asked"),
    [
        ("instances", "run_instances", {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}),
        ("volumes", "create_volume", {"AvailabilityZone": "us-east-1a", "Size": 1}),
        ("addresses", "allocate_address", {"Domain": "vpc"}),
    ],
)
def test_of_many_at_once_as_many_come_in_as_may_be(
    name: str, action: str, asked: Mapping[str, Any], house: Any, ec2: Any, image: str
) -> None:
    house.world.limits.quotas[name] = 3
    asked = {**asked, "ImageId": image} if name == "instances" else asked

    def attempt(_: int) -> str:
        return answer(lambda: getattr(house.client(), action)(**asked)).get("Code", "")

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(attempt, range(8)))
    assert told == [""] * 3 + [QUOTA[QUOTAS[name].kind]] * 5
