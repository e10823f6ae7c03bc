"""What ec2-api made in a real OpenStack goes on under ec2-api's ids: a VPC was a router, each subnet a network."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import real_openstack
from botocore.exceptions import ClientError
from served import Account, client, serving
from service import isthmus as command


@pytest.fixture(params=[True, False], ids=["a subnet that leads outside", "a subnet that leads nowhere"])
def made(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The native ids of a VPC with an internet gateway and of its subnet, made as ec2-api makes them."""
    seen = real_openstack.connection("demo").network
    router, network = seen.create_router(name="vpc-0000e2a1"), seen.create_network(name="subnet-0000e2a2")
    subnet = seen.create_subnet(network_id=network.id, ip_version=4, cidr="10.83.0.0/24", name="subnet-0000e2a2")
    seen.add_interface_to_router(router, subnet_id=subnet.id)
    [outside] = seen.networks(is_router_external=True)
    seen.update_router(router, external_gateway_info={"network_id": outside.id})
    if not request.param:
        seen.update_subnet(subnet, gateway_ip=None)
    yield {"router": router.id, "subnet": subnet.id, "network": network.id, "leads": request.param}
    seen.remove_interface_from_router(router, subnet_id=subnet.id)
    seen.delete_router(router)
    seen.delete_network(network)


def natives() -> set[str]:
    """What the project has of networks, subnets and routers."""
    seen = real_openstack.connection("demo").network
    return {one.id for listing in (seen.networks, seen.subnets, seen.routers) for one in listing()}


def written(path: Path, *statements: str) -> str:
    with closing(sqlite3.connect(path)) as database, database:
        for one in statements:
            database.execute(one)
    return f"sqlite:///{path}"


def test_a_vpc_and_its_subnet_are_described_under_ec2_apis_ids(
    made: dict[str, Any], config: Path, tmp_path: Path, demo: Any
) -> None:
    outside = [{"destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-0000e2a3"}] if made["leads"] else []
    routes = json.dumps({"routes": [{"destination_cidr_block": "10.83.0.0/24", "gateway_id": None}, *outside]})
    vpc = json.dumps({"cidr_block": "10.83.0.0/24", "route_table_id": "rtb-0000e2a4"})
    used = json.dumps({"route_table_id": "rtb-0000e2a5"})
    old = written(
        tmp_path / "ec2api.db",
        "create table items (id text primary key, project_id text, vpc_id text, os_id text unique, data text)",
        "create table tags (project_id text, item_id text, key text, value text)",
        f"insert into items values ('vpc-0000e2a1', '{demo.tenant_id}', null, '{made['router']}', '{vpc}')",
        "insert into items values ('subnet-0000e2a2', "
        f"'{demo.tenant_id}', 'vpc-0000e2a1', '{made['subnet']}', '{used}')",
        f"insert into items values ('igw-0000e2a3', '{demo.tenant_id}', 'vpc-0000e2a1', null, '{{}}')",
        f"insert into items values ('rtb-0000e2a4', '{demo.tenant_id}', 'vpc-0000e2a1', null, '{routes}')",
        f"insert into items values ('rtb-0000e2a5', '{demo.tenant_id}', 'vpc-0000e2a1', null, '{routes}')",
        f"insert into tags values ('{demo.tenant_id}', 'vpc-0000e2a1', 'Name', 'ours')",
    )
    neutron = written(
        tmp_path / "neutron.db",
        "create table subnets (id text primary key, network_id text, cidr text)",
        f"insert into subnets values ('{made['subnet']}', '{made['network']}', '10.83.0.0/24')",
    )
    words = ("import", "ec2-api", "--db", old, "--neutron-db", neutron, "--cloud", "private", "--config", str(config))
    there = natives()
    for _ in range(2):
        done = command(*words, state=tmp_path / "state")
        assert (0, "") == (done.returncode, done.stderr)

    mine = [{"Name": "vpc-id", "Values": ["vpc-0000e2a1"]}]
    with serving(tmp_path / "state", "--config", str(config)) as served:
        ec2 = client(Account("", demo.access, demo.secret, served.endpoint))
        [vpc] = ec2.describe_vpcs(VpcIds=["vpc-0000e2a1"])["Vpcs"]
        [subnet] = ec2.describe_subnets(SubnetIds=["subnet-0000e2a2"])["Subnets"]
        attached = [{"Name": "attachment.vpc-id", "Values": ["vpc-0000e2a1"]}]
        [gateway] = ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]
        tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
        moved = ec2.replace_route_table_association(AssociationId="rtbassoc-0000e2a2", RouteTableId="rtb-0000e2a4")

        if not made["leads"]:
            port = ec2.create_network_interface(SubnetId="subnet-0000e2a2")["NetworkInterface"]["NetworkInterfaceId"]
            within = {"RouteTableId": "rtb-0000e2a4", "DestinationCidrBlock": "10.99.0.0/16"}
            ec2.create_route(**within, NetworkInterfaceId=port)
            outward = {**within, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-0000e2a3"}
            with pytest.raises(ClientError, match="has no gateway, and Isthmus did not make it"):
                ec2.create_route(**outward)
            ec2.delete_route(**within)
            ec2.delete_network_interface(NetworkInterfaceId=port)

    assert ("10.83.0.0/24", [{"Key": "Name", "Value": "ours"}]) == (vpc["CidrBlock"], vpc["Tags"])
    assert ("10.83.0.0/24", "vpc-0000e2a1") == (subnet["CidrBlock"], subnet["VpcId"])
    assert "igw-0000e2a3" == gateway["InternetGatewayId"]
    users = [
        (one["RouteTableId"], use["RouteTableAssociationId"], use["Main"])
        for one in tables
        for use in one["Associations"]
    ]
    assert [("rtb-0000e2a4", "rtbassoc-0000e2a1", True), ("rtb-0000e2a5", "rtbassoc-0000e2a2", False)] == users
    led = [("10.83.0.0/24", "local"), *([("0.0.0.0/0", "igw-0000e2a3")] if made["leads"] else [])]
    for table in tables:
        assert sorted(led) == sorted((one["DestinationCidrBlock"], one["GatewayId"]) for one in table["Routes"])
    assert moved["NewAssociationId"]
    assert natives() == there
