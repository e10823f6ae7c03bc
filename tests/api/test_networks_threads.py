"""Several threads of one process ask at the same time for parts of networks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from asking import refusal
from botocore.exceptions import ClientError
from whole import demand_whole
from wired import attachable, connect, customer, delete_vpc, entry, expose, exposed, network

from isthmus.errors import Conflict
from isthmus.providers.memory.networks import MemoryNetworks

_SECONDS = 60


def together(*calls):
    """All of these at once; the codes with which they are refused, None for those that are done."""
    start = Barrier(len(calls))

    def run(call):
        start.wait(_SECONDS)
        try:
            call()
        except ClientError as refused:
            return refused.response["Error"]["Code"]
        return None

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def test_entries_of_an_acl_are_all_there(ec2):
    it = network(ec2)

    refused = together(*(lambda n=n: ec2.create_network_acl_entry(**entry(it.acl, n)) for n in range(1, 9)))

    assert refused == [None] * 8
    [acl] = ec2.describe_network_acls(NetworkAclIds=[it.acl])["NetworkAcls"]
    assert [one["RuleNumber"] for one in acl["Entries"] if not one["Egress"]] == [*range(1, 9), 32767]


def test_as_many_vpn_gateways_are_made_as_may_be(ec2):
    refused = together(*[lambda: ec2.create_vpn_gateway(Type="ipsec.1")] * 8)

    assert sorted(map(str, refused)) == ["None"] * 5 + ["VpnGatewayLimitExceeded"] * 3
    assert len(ec2.describe_vpn_gateways()["VpnGateways"]) == 5


def test_a_customer_s_gateway_is_made_once(ec2):
    assert together(*[lambda: customer(ec2)] * 6) == [None] * 6
    assert len(ec2.describe_customer_gateways()["CustomerGateways"]) == 1


def test_connections_have_tunnels_of_their_own(ec2):
    it = attachable(ec2)
    assert together(*[lambda: connect(ec2, it)] * 8) == [None] * 8

    demand_whole(ec2)
    assert len(ec2.describe_vpn_connections()["VpnConnections"]) == 8


def test_a_vpc_is_deleted_or_has_what_came_first(ec2):
    it = attachable(ec2)

    gone, *others = together(
        lambda: delete_vpc(ec2, it),
        lambda: ec2.create_subnet(VpcId=it.vpc, CidrBlock="10.7.1.0/24"),
        lambda: ec2.create_route_table(VpcId=it.vpc),
        lambda: ec2.attach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw),
        lambda: ec2.attach_vpn_gateway(VpcId=it.vpc, VpnGatewayId=it.vgw),
    )

    assert (gone is None) == all(others) or gone == "DependencyViolation"
    assert set(others) <= {None, "InvalidVpcID.NotFound"}
    demand_whole(ec2)


def test_a_gateway_is_detached_or_the_address_associated(ec2):
    it = exposed(ec2)

    detached, associated = together(
        lambda: ec2.detach_internet_gateway(VpcId=it.vpc, InternetGatewayId=it.igw), lambda: expose(ec2, it)
    )

    assert (detached, associated) in [
        ("DependencyViolation", None),
        (None, "Gateway.NotAttached"),
        ("DependencyViolation", "Gateway.NotAttached"),
    ]
    demand_whole(ec2)


@pytest.mark.parametrize("what", ["a route table", "a VPC", "a note on the subnet"])
def test_what_the_cloud_refuses_one_thread_is_not_taken_from_another(ec2, what, monkeypatch):
    """The other one writes while the first waits for the cloud's answer."""
    it = exposed(ec2)
    ec2.associate_route_table(RouteTableId=it.table, SubnetId=it.subnet)
    asked, done = Event(), Event()

    def wire(self, native, wiring):
        asked.set()
        assert done.wait(_SECONDS)
        raise Conflict("network", native, "not now", "in-use")

    monkeypatch.setattr(MemoryNetworks, "wire", wire)
    with ThreadPoolExecutor(1) as thread:
        route = {"RouteTableId": it.table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": it.igw}
        first = thread.submit(refusal, ec2.create_route, **route)
        assert asked.wait(_SECONDS)
        if what == "a route table":
            made = ec2.create_route_table(VpcId=it.vpc)["RouteTable"]["RouteTableId"]
        elif what == "a VPC":
            made = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        else:
            ec2.modify_subnet_attribute(SubnetId=it.subnet, MapPublicIpOnLaunch={"Value": True})
        done.set()
        assert first.result(_SECONDS) == "DependencyViolation"
    monkeypatch.undo()
    if what == "a route table":
        assert ec2.describe_route_tables(RouteTableIds=[made])["RouteTables"]
    elif what == "a VPC":
        assert ec2.create_tags(Resources=[made], Tags=[{"Key": "a", "Value": "b"}])
        assert ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [made]}])["RouteTables"]
    else:
        assert ec2.describe_subnets(SubnetIds=[it.subnet])["Subnets"][0]["MapPublicIpOnLaunch"]
    [table] = ec2.describe_route_tables(RouteTableIds=[it.table])["RouteTables"]
    assert len(table["Routes"]) == 1
