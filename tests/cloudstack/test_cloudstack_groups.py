"""Security groups in zones that have none: what packets the emulated routers let pass, whatever Isthmus says."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus
from emulators.cloudstack.commands import ACTS
from emulators.cloudstack.traffic import Packet, comes_in, goes_out, reaches
from emulators.cloudstack.world import Refusal, World

from isthmus.providers.cloudstack import rulebook

OFFICE, STRANGER = "198.51.100.7", "192.0.2.9"
SSH, WEB, DNS = Packet(port=22), Packet(port=80), Packet("udp", 53)


@pytest.fixture
def isthmus(tmp_path: Any) -> Iterator[Isthmus]:
    made = Isthmus(f"sqlite:///{tmp_path}/isthmus.db", groups=False)
    made.emulated.job_seconds = 0
    yield made
    made.store.close()
    made.real.close()


class Site:
    """A VPC whose subnets have a route to the internet, or the default one; and its machines in CloudStack."""

    def __init__(self, isthmus: Isthmus) -> None:
        self.isthmus = isthmus
        self.ec2 = isthmus.client()
        self.image = self.ec2.describe_images()["Images"][0]["ImageId"]
        self.vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [""]

    @property
    def world(self) -> World:
        return self.isthmus.emulated

    def build(self, *, open_: bool = True) -> Site:
        self.vpc = self.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=f"10.9.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2)
        ]
        self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        self.ec2.attach_internet_gateway(InternetGatewayId=self.gateway, VpcId=self.vpc)
        if open_:
            self.route()
        return self

    def route(self) -> None:
        [table] = self.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        asked = {"RouteTableId": table["RouteTableId"], "DestinationCidrBlock": "0.0.0.0/0"}
        self.ec2.create_route(**asked, GatewayId=self.gateway)

    def group(self, name: str) -> str:
        made = self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)
        return str(made["GroupId"])

    def launch(self, *groups: str, tier: int = 0) -> str:
        said = {"ImageId": self.image, "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
        said |= {"SubnetId": self.subnets[tier]} if self.subnets[tier] else {}
        said |= {"SecurityGroupIds": list(groups)} if groups else {}
        [made] = self.ec2.run_instances(**said)["Instances"]
        self.isthmus.real.settle()
        return str(made["InstanceId"])

    def publish(self, instance: str) -> dict[str, str]:
        address = self.ec2.allocate_address()["AllocationId"]
        return dict(self.ec2.associate_address(AllocationId=address, InstanceId=instance))

    def machine(self, instance: str) -> str:
        """A machine is named as its instance."""
        return next(known for known, (_, one) in self.world.things["machine"].items() if one["name"] == instance)

    def allow(self, group: str, port: int, cidr: str = "", peer: str = "") -> None:
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(port, cidr, peer)])

    def comes_in(self, source: str, instance: str, packet: Packet) -> bool:
        return comes_in(self.world, source, self.machine(instance), packet)

    def goes_out(self, instance: str, packet: Packet, target: str = STRANGER) -> bool:
        return goes_out(self.world, self.machine(instance), target, packet)

    def reaches(self, instance: str, other: str, packet: Packet) -> bool:
        return reaches(self.world, self.machine(instance), self.machine(other), packet)


def permission(port: int, cidr: str = "", peer: str = "", protocol: str = "tcp") -> Any:
    whom = {"UserIdGroupPairs": [{"GroupId": peer}]} if peer else {"IpRanges": [{"CidrIp": cidr}]}
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, **whom}


ALL_OUT = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@pytest.fixture
def site(isthmus: Isthmus) -> Site:
    """In the default VPC."""
    return Site(isthmus)


@pytest.fixture(params=["a VPC", "the default VPC"])
def either(request: pytest.FixtureRequest, site: Site) -> Site:
    return site.build() if request.param == "a VPC" else site


def test_from_outside_comes_in_what_a_rule_says_and_nothing_else(either: Site) -> None:
    group = either.group("web")
    instance = either.launch(group)
    either.publish(instance)
    assert not either.comes_in(OFFICE, instance, SSH)

    either.allow(group, 22, f"{OFFICE}/32")
    either.allow(group, 80, "0.0.0.0/0")

    assert either.comes_in(OFFICE, instance, SSH)
    assert not either.comes_in(STRANGER, instance, SSH)
    assert either.comes_in(STRANGER, instance, WEB)
    assert not either.comes_in(STRANGER, instance, Packet("udp", 80))

    either.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[permission(80, "0.0.0.0/0")])
    assert not either.comes_in(STRANGER, instance, WEB)
    assert either.comes_in(OFFICE, instance, SSH)


def test_all_goes_out_until_rules_say_less(either: Site) -> None:
    group = either.group("quiet")
    instance = either.launch(group)
    assert either.goes_out(instance, WEB)

    either.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission(53, "0.0.0.0/0", "", "udp")])
    either.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[ALL_OUT])

    assert either.goes_out(instance, DNS)
    assert not either.goes_out(instance, WEB)


def test_a_public_address_opens_nothing_by_itself(either: Site) -> None:
    instance = either.launch()
    association = either.publish(instance)["AssociationId"]
    assert not any(either.comes_in(STRANGER, instance, one) for one in (SSH, WEB, DNS))
    assert either.goes_out(instance, WEB)

    either.ec2.disassociate_address(AssociationId=association)
    assert not either.comes_in(STRANGER, instance, WEB)


def test_the_groups_of_a_running_instance_are_changed(either: Site) -> None:
    shut, open_ = either.group("shut"), either.group("open")
    either.allow(open_, 80, "0.0.0.0/0")
    instance = either.launch(shut)
    either.publish(instance)
    assert not either.comes_in(STRANGER, instance, WEB)

    for groups, comes in (([open_], True), ([shut], False), ([shut, open_], True)):
        either.ec2.modify_instance_attribute(InstanceId=instance, Groups=groups)
        [found] = either.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
        assert set(groups) == {one["GroupId"] for one in found["SecurityGroups"]}
        assert comes == either.comes_in(STRANGER, instance, WEB)

    with pytest.raises(ClientError, match="DependencyViolation"):
        either.ec2.delete_security_group(GroupId=open_)


def test_an_address_of_the_default_vpc_is_opened_for_its_own_instance_alone(site: Site) -> None:
    group = site.group("web")
    site.allow(group, 80, "0.0.0.0/0")
    web, other = site.launch(group), site.launch()
    for one in (web, other):
        site.publish(one)

    assert site.comes_in(STRANGER, web, WEB)
    assert not site.comes_in(STRANGER, other, WEB)


def test_what_one_instance_lets_in_is_let_in_to_its_whole_tier_and_no_other(site: Site) -> None:
    """CloudStack's filters are a tier's: said in docs/cloudstack.md."""
    site.build()
    group = site.group("web")
    site.allow(group, 80, "0.0.0.0/0")
    web, beside, elsewhere = site.launch(group), site.launch(), site.launch(tier=1)
    for one in (web, beside, elsewhere):
        site.publish(one)

    assert [True, True, False] == [site.comes_in(STRANGER, one, WEB) for one in (web, beside, elsewhere)]

    site.ec2.terminate_instances(InstanceIds=[web])
    assert not site.comes_in(STRANGER, beside, WEB)


def test_members_of_a_group_that_a_rule_names_get_through_to_another_tier(site: Site) -> None:
    site.build()
    front, back = site.group("front"), site.group("back")
    site.allow(back, 22, peer=front)
    data = site.launch(back, tier=1)
    first = site.launch(front)
    stranger = site.launch(site.group("none"))

    assert site.reaches(first, data, SSH)
    assert not site.reaches(first, data, WEB)
    assert not site.reaches(stranger, data, SSH)

    site.ec2.terminate_instances(InstanceIds=[first])
    items = [one for _, one in site.world.things["aclitem"].values() if one["traffictype"] == "Ingress"]
    assert not any(str(one.get("startport")) == "22" for one in items)


def test_members_of_the_default_group_reach_each_other_across_tiers(site: Site) -> None:
    site.build()
    one, other = site.launch(), site.launch(tier=1)

    assert site.reaches(one, other, WEB)
    assert site.reaches(other, one, DNS)


def test_a_tier_without_a_route_stays_within_its_vpc_whatever_its_groups_say(site: Site) -> None:
    site.build(open_=False)
    group = site.group("open")
    site.allow(group, 80, "0.0.0.0/0")
    near, far = site.launch(group), site.launch(group, tier=1)
    site.publish(near)
    assert not site.comes_in(STRANGER, near, WEB)
    assert not site.goes_out(near, WEB)
    assert site.reaches(far, near, WEB)

    site.route()
    assert site.comes_in(STRANGER, near, WEB)
    assert site.goes_out(near, WEB)


def test_a_gateway_can_go_from_under_its_route(site: Site) -> None:
    """The route leads nowhere then: nothing leaves the subnets, until there is a gateway again."""
    site.build()
    instance = site.launch(site.group("web"))
    assert site.goes_out(instance, WEB)

    site.ec2.detach_internet_gateway(InternetGatewayId=site.gateway, VpcId=site.vpc)

    [table] = site.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [site.vpc]}])["RouteTables"]
    assert "blackhole" in [route["State"] for route in table["Routes"]]
    assert not site.goes_out(instance, WEB)
    site.ec2.attach_internet_gateway(InternetGatewayId=site.gateway, VpcId=site.vpc)
    assert site.goes_out(instance, WEB)


def test_a_list_that_somebody_changed_is_mended_by_the_next_change(site: Site) -> None:
    site.build()
    group = site.group("web")
    instance = site.launch(group)
    site.publish(instance)
    allow = next(one["id"] for one in site.world.acl_lists if one["name"] == "default_allow")
    [tier] = [one for _, one in site.world.things["network"].values() if one["cidr"] == "10.9.1.0/24"]
    tier["aclid"] = allow
    assert site.comes_in(STRANGER, instance, WEB)

    site.allow(group, 22, f"{OFFICE}/32")

    assert not site.comes_in(STRANGER, instance, WEB)
    assert site.comes_in(OFFICE, instance, SSH)


def test_each_tier_has_one_list_and_all_go_with_the_vpc(site: Site) -> None:
    site.build()
    group = site.group("web")
    instance = site.launch(group)
    for port in range(1, 5):
        site.allow(group, port, "0.0.0.0/0")
    assert len(site.world.things["acllist"]) <= 2
    site.ec2.terminate_instances(InstanceIds=[instance])
    site.isthmus.real.settle()

    site.ec2.delete_security_group(GroupId=group)
    for subnet in site.subnets:
        site.ec2.delete_subnet(SubnetId=subnet)
    site.ec2.detach_internet_gateway(InternetGatewayId=site.gateway, VpcId=site.vpc)
    site.ec2.delete_vpc(VpcId=site.vpc)

    assert not site.world.things["acllist"]
    assert not site.world.things["aclitem"]


def test_a_rule_whose_filters_cannot_be_made_is_not_there(site: Site) -> None:
    site.build()
    group = site.group("web")
    instance = site.launch(group)
    site.publish(instance)
    site.world.wrong_next("replaceNetworkACLList job", Refusal(530, "Failed to apply the list", 4250))

    with pytest.raises(ClientError):
        site.allow(group, 80, "0.0.0.0/0")

    assert not site.comes_in(STRANGER, instance, WEB)
    [told] = site.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [] == told["IpPermissions"]
    site.allow(group, 80, "0.0.0.0/0")
    assert site.comes_in(STRANGER, instance, WEB)


def test_a_rule_whose_filters_cannot_be_closed_is_still_there(site: Site) -> None:
    site.build()
    group = site.group("web")
    site.allow(group, 80, "0.0.0.0/0")
    instance = site.launch(group)
    site.publish(instance)
    site.world.wrong_next("replaceNetworkACLList job", Refusal(530, "Failed to apply the list", 4250))
    gone = {"GroupId": group, "IpPermissions": [permission(80, "0.0.0.0/0")]}

    with pytest.raises(ClientError):
        site.ec2.revoke_security_group_ingress(**gone)

    [told] = site.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert [80] == [one["FromPort"] for one in told["IpPermissions"]]
    site.ec2.revoke_security_group_ingress(**gone)
    assert not site.comes_in(STRANGER, instance, WEB)


def test_rules_and_launches_of_one_moment_come_to_what_the_rules_say_last(site: Site) -> None:
    site.build()
    group, later = site.group("web"), site.group("later")
    site.allow(group, 80, "0.0.0.0/0")
    instance = site.launch(group)
    site.publish(instance)
    ec2 = [site.isthmus.client() for _ in range(4)]
    said = {"ImageId": site.image, "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1, "SubnetId": site.subnets[0]}
    gone = {"GroupId": group, "IpPermissions": [permission(80, "0.0.0.0/0")]}
    new = {"GroupId": later, "IpPermissions": [permission(22, f"{OFFICE}/32")]}

    with ThreadPoolExecutor(4) as threads:
        acts = [
            threads.submit(ec2[0].run_instances, **said, SecurityGroupIds=[later]),
            threads.submit(ec2[1].revoke_security_group_ingress, **gone),
            threads.submit(ec2[2].authorize_security_group_ingress, **new),
            threads.submit(ec2[3].run_instances, **said, SecurityGroupIds=[group]),
        ]
        for act in acts:
            act.result()
    site.isthmus.real.settle()

    assert not site.comes_in(STRANGER, instance, WEB)
    assert site.comes_in(OFFICE, instance, SSH)
    assert len(site.subnets) == len(site.world.things["acllist"])


def test_what_another_process_erases_meanwhile_is_closed_in_the_end(site: Site) -> None:
    """Its rule goes after the filters were read, and before they are made."""
    site.build()
    group = site.group("web")
    site.allow(group, 80, "0.0.0.0/0")
    instance = site.launch(group)
    site.publish(instance)
    [vpc] = [one for _, one in site.world.things["vpc"].values()]
    switch = ACTS["replacenetworkacllist"]

    def erase_then_switch(*asked: Any) -> Any:
        vpc["tags"][:] = [one for one in vpc["tags"] if "/tcp/80/" not in one["key"]]
        return switch(*asked)

    ACTS["replacenetworkacllist"] = erase_then_switch
    try:
        site.allow(group, 22, f"{OFFICE}/32")
    finally:
        ACTS["replacenetworkacllist"] = switch

    assert site.comes_in(OFFICE, instance, SSH)
    assert not site.comes_in(STRANGER, instance, WEB)


def test_ports_that_overlap_and_all_protocols_are_opened_together(site: Site) -> None:
    """CloudStack takes no two rules of the same ports for one range."""
    group = site.group("web")
    instance = site.launch(group)
    site.publish(instance)
    spans = [{"IpProtocol": "tcp", "FromPort": low, "ToPort": high} for low, high in ((20, 90), (80, 120), (0, 65535))]
    for span in [*spans, {"IpProtocol": "-1"}]:
        said = {**span, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        site.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[said])
        assert site.comes_in(STRANGER, instance, WEB)
    assert site.comes_in(STRANGER, instance, DNS)

    said = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    site.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[said])
    assert not site.comes_in(STRANGER, instance, DNS)
    assert site.comes_in(STRANGER, instance, WEB)


def test_a_range_beside_that_of_all_takes_nothing_away(either: Site) -> None:
    group = either.group("wide")
    instance = either.launch(group)
    either.publish(instance)
    narrow = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "198.51.100.0/24"}]}
    either.ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[narrow])
    either.allow(group, 80, "198.51.100.0/24")
    either.allow(group, 80, "0.0.0.0/0")
    assert either.goes_out(instance, WEB)
    assert either.comes_in(STRANGER, instance, WEB)

    either.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[ALL_OUT])
    assert not either.goes_out(instance, WEB)
    assert either.goes_out(instance, WEB, OFFICE)


def test_a_tag_that_is_no_rule_is_not_taken_for_one() -> None:
    for whom in ("10.0.0.0/8", "2001:DB8::/32", "@0123"):
        assert rulebook._rule(f"ingress/tcp/1/2/{whom}", "=")
    for said in ("ingress/tcp/1/2/10.0.0.0/99", "ingress/tcp/1/2/somewhere", "across/tcp/1/2/10.0.0.0/8", "ingress"):
        assert rulebook._rule(said, "=") is None
