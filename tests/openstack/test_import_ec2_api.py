"""What ec2-api made in a real OpenStack goes on under ec2-api's ids: a VPC was a router, each subnet a network."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import real_openstack
from served import Account, client, serving
from service import isthmus as command


@pytest.fixture
def made() -> Iterator[dict[str, str]]:
    """The native ids of a VPC and its subnet, made as ec2-api makes them."""
    seen = real_openstack.connection("demo").network
    router, network = seen.create_router(name="vpc-0000e2a1"), seen.create_network(name="subnet-0000e2a2")
    subnet = seen.create_subnet(network_id=network.id, ip_version=4, cidr="10.83.0.0/24", name="subnet-0000e2a2")
    seen.add_interface_to_router(router, subnet_id=subnet.id)
    yield {"router": router.id, "subnet": subnet.id, "network": network.id}
    seen.remove_interface_from_router(router, subnet_id=subnet.id)
    seen.delete_router(router)
    seen.delete_network(network)


def written(path: Path, *statements: str) -> str:
    with closing(sqlite3.connect(path)) as database, database:
        for one in statements:
            database.execute(one)
    return f"sqlite:///{path}"


def test_a_vpc_and_its_subnet_are_described_under_ec2_apis_ids(
    made: dict[str, str], config: Path, tmp_path: Path, demo: Any
) -> None:
    old = written(
        tmp_path / "ec2api.db",
        "create table items (id text primary key, project_id text, vpc_id text, os_id text unique, data text)",
        "create table tags (project_id text, item_id text, key text, value text)",
        f"insert into items values ('vpc-0000e2a1', '{demo.tenant_id}', null, '{made['router']}', '{{}}')",
        f"insert into items values ('subnet-0000e2a2', '{demo.tenant_id}', 'vpc-0000e2a1', '{made['subnet']}', '{{}}')",
        f"insert into tags values ('{demo.tenant_id}', 'vpc-0000e2a1', 'Name', 'ours')",
    )
    neutron = written(
        tmp_path / "neutron.db",
        "create table subnets (id text primary key, network_id text)",
        f"insert into subnets values ('{made['subnet']}', '{made['network']}')",
    )
    words = ("import", "ec2-api", "--db", old, "--neutron-db", neutron, "--cloud", "private", "--config", str(config))
    done = command(*words, state=tmp_path / "state")
    assert 0 == done.returncode, done.stderr

    with serving(tmp_path / "state", "--config", str(config)) as served:
        ec2 = client(Account("", demo.access, demo.secret, served.endpoint))
        [vpc] = ec2.describe_vpcs(VpcIds=["vpc-0000e2a1"])["Vpcs"]
        [subnet] = ec2.describe_subnets(SubnetIds=["subnet-0000e2a2"])["Subnets"]

    assert ("10.83.0.0/24", [{"Key": "Name", "Value": "ours"}]) == (vpc["CidrBlock"], vpc["Tags"])
    assert ("10.83.0.0/24", "vpc-0000e2a1") == (subnet["CidrBlock"], subnet["VpcId"])
