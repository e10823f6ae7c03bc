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
import terraform
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


@pytest.fixture
def vpc(demo: Any) -> Iterator[dict[str, str]]:
    """The native ids of a VPC with a public and a private subnet, and a security group, as ec2-api makes them."""
    seen = real_openstack.connection("demo").network
    router = seen.create_router(name="vpc-0000e2b1")
    [outside] = seen.networks(is_router_external=True)
    seen.update_router(router, external_gateway_info={"network_id": outside.id})
    made = {"router": router.id}
    for name, cidr, gate in (("public", "10.84.0.0/24", "10.84.0.1"), ("private", "10.84.1.0/24", "10.84.1.1")):
        network = seen.create_network(name=name)
        also = "0.0.0.0/0" if name == "public" else "169.254.169.254/32"
        routes = [{"destination": to, "nexthop": gate} for to in ("10.84.0.0/16", also)]
        subnet = seen.create_subnet(network_id=network.id, ip_version=4, cidr=cidr, host_routes=routes)
        seen.add_interface_to_router(router, subnet_id=subnet.id)
        made |= {name: subnet.id, f"network of {name}": network.id}
        if name == "private":
            seen.update_subnet(subnet, gateway_ip=None)
    for name in ("vpc-0000e2b1", "web"):
        made[name] = seen.create_security_group(name=name, description="of web servers").id
    yield made
    for port in seen.ports(project_id=demo.tenant_id, device_id=router.id):
        seen.remove_interface_from_router(router, port_id=port.id)
    seen.delete_router(router)
    for name in ("public", "private"):
        seen.delete_network(made[f"network of {name}"])
    for name in ("vpc-0000e2b1", "web"):
        seen.delete_security_group(made[name])


def database(path: Path, project: str, vpc: dict[str, str]) -> str:
    """ec2-api's, of the project's VPC."""
    local = {"destination_cidr_block": "10.84.0.0/16", "gateway_id": None}
    outward = {"destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-0000e2b3"}
    rows = [
        ("vpc-0000e2b1", None, vpc["router"], {"cidr_block": "10.84.0.0/16", "route_table_id": "rtb-0000e2b4"}),
        ("subnet-0000e2b6", "vpc-0000e2b1", vpc["public"], {"route_table_id": "rtb-0000e2b5"}),
        ("subnet-0000e2b2", "vpc-0000e2b1", vpc["private"], {}),
        ("igw-0000e2b3", "vpc-0000e2b1", None, {}),
        ("rtb-0000e2b4", "vpc-0000e2b1", None, {"routes": [local]}),
        ("rtb-0000e2b5", "vpc-0000e2b1", None, {"routes": [local, outward]}),
        ("sg-0000e2b1", "vpc-0000e2b1", vpc["vpc-0000e2b1"], {}),
        ("sg-0000e2b7", "vpc-0000e2b1", vpc["web"], {}),
    ]
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("create table items (id text primary key, project_id text, vpc_id text, os_id text, data text)")
        opened.execute("create table tags (project_id text, item_id text, key text, value text)")
        for known, within, native, data in rows:
            opened.execute("insert into items values (?,?,?,?,?)", (known, project, within, native, json.dumps(data)))
        opened.execute("insert into tags values (?, 'vpc-0000e2b1', 'Name', 'ours')", (project,))
    return f"sqlite:///{path}"


def told(subnet: str) -> tuple[str | None, dict[str, str]]:
    """A subnet's gateway and the next hops of its host routes."""
    found = real_openstack.connection("demo").network.get_subnet(subnet)
    return found.gateway_ip, {one["destination"]: one["nexthop"] for one in found.host_routes}


def test_a_vpc_with_two_subnets_is_taken_over_whole(
    vpc: dict[str, str], config: Path, tmp_path: Path, demo: Any
) -> None:
    old = database(tmp_path / "ec2api.db", demo.tenant_id, vpc)
    words = ("import", "ec2-api", "--db", old, "--os-cloud", "admin", "--cloud", "private", "--config", str(config))
    would = command(*words, "--dry-run", state=tmp_path / "state")
    assert 5 == would.stdout.count("Would tag"), (would.stdout, would.stderr)
    assert not [tag for one in real_openstack.connection("demo").network.networks() for tag in one.tags]
    done = command(*words, state=tmp_path / "state")
    assert (0, "", 5) == (done.returncode, done.stderr, done.stdout.count("Tagged"))
    again = command(*words, state=tmp_path / "state")
    assert (0, "", 0) == (again.returncode, again.stderr, again.stdout.count("Tagged"))

    before = told(vpc["public"]), told(vpc["private"])
    mine = [{"Name": "vpc-id", "Values": ["vpc-0000e2b1"]}]
    with serving(tmp_path / "state", "--config", str(config)) as served:
        ec2 = client(Account("", demo.access, demo.secret, served.endpoint))
        within = [one for one in ec2.describe_vpcs()["Vpcs"] if one["CidrBlock"].startswith("10.84.")]
        assert [("vpc-0000e2b1", "10.84.0.0/16", False)] == [
            (one["VpcId"], one["CidrBlock"], one["IsDefault"]) for one in within
        ]
        subnets = {one["SubnetId"]: one["CidrBlock"] for one in ec2.describe_subnets(Filters=mine)["Subnets"]}
        assert {"subnet-0000e2b6": "10.84.0.0/24", "subnet-0000e2b2": "10.84.1.0/24"} == subnets
        groups = {
            one["GroupId"]: one["GroupName"] for one in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]
        }
        assert {"sg-0000e2b1": "default", "sg-0000e2b7": "web"} == groups
        tables = ec2.describe_route_tables(Filters=mine)["RouteTables"]
        assert [("rtb-0000e2b4", 1), ("rtb-0000e2b5", 2)] == sorted(
            (one["RouteTableId"], len(one["Routes"])) for one in tables
        )

        new = ec2.create_subnet(VpcId="vpc-0000e2b1", CidrBlock="10.84.2.0/24")["Subnet"]
        assert "vpc-0000e2b1" == new["VpcId"]
        assert before == (told(vpc["public"]), told(vpc["private"]))
        routers = real_openstack.connection("demo").network.ports(project_id=demo.tenant_id, device_id=vpc["router"])
        assert 3 == len(list(routers))
        outward = ec2.associate_route_table(SubnetId="subnet-0000e2b2", RouteTableId="rtb-0000e2b5")
        assert ("10.84.1.1", {"10.84.0.0/16": "10.84.1.1", "0.0.0.0/0": "10.84.1.1"}) == told(vpc["private"])
        ec2.disassociate_route_table(AssociationId=outward["AssociationId"])
        assert before == (told(vpc["public"]), told(vpc["private"]))
        launched = {}
        for subnet, start in (
            ("subnet-0000e2b6", "10.84.0."),
            ("subnet-0000e2b2", "10.84.1."),
            (new["SubnetId"], "10.84.2."),
        ):
            [made] = ec2.run_instances(**real_openstack.launch(ec2), SubnetId=subnet)["Instances"]
            launched[made["InstanceId"]] = subnet
            assert made["PrivateIpAddress"].startswith(start)
            assert ("vpc-0000e2b1", subnet) == (made["VpcId"], made["SubnetId"])
            assert ["sg-0000e2b1"] == [one["GroupId"] for one in made["SecurityGroups"]]
        port = ec2.create_network_interface(SubnetId="subnet-0000e2b2", Groups=["sg-0000e2b7"])["NetworkInterface"]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        public = ec2.associate_address(AllocationId=address, NetworkInterfaceId=port["NetworkInterfaceId"])
        inside = ec2.describe_network_interfaces(Filters=mine)["NetworkInterfaces"]
        assert 4 == len(inside), inside
        found = ec2.describe_instances(Filters=mine)["Reservations"]
        assert launched == {one["InstanceId"]: one["SubnetId"] for each in found for one in each["Instances"]}
        with pytest.raises(ClientError, match="DependencyViolation"):
            ec2.delete_vpc(VpcId="vpc-0000e2b1")

        ec2.terminate_instances(InstanceIds=list(launched))
        ec2.get_waiter("instance_terminated").wait(InstanceIds=list(launched), WaiterConfig={"Delay": 1})
        ec2.disassociate_address(AssociationId=public["AssociationId"])
        ec2.release_address(AllocationId=address)
        ec2.delete_network_interface(NetworkInterfaceId=port["NetworkInterfaceId"])
        for subnet in ("subnet-0000e2b6", "subnet-0000e2b2", new["SubnetId"]):
            ec2.delete_subnet(SubnetId=subnet)
        assert "10.84.0.0/16" == ec2.describe_vpcs(VpcIds=["vpc-0000e2b1"])["Vpcs"][0]["CidrBlock"]
        ec2.detach_internet_gateway(InternetGatewayId="igw-0000e2b3", VpcId="vpc-0000e2b1")
        ec2.delete_internet_gateway(InternetGatewayId="igw-0000e2b3")
        ec2.delete_route_table(RouteTableId="rtb-0000e2b5")
        ec2.delete_security_group(GroupId="sg-0000e2b7")
        ec2.delete_vpc(VpcId="vpc-0000e2b1")
        with pytest.raises(ClientError, match=r"InvalidVpcID\.NotFound"):
            ec2.describe_vpcs(VpcIds=["vpc-0000e2b1"])

    left = natives() | {one.id for one in real_openstack.connection("demo").network.security_groups()}
    assert not left & set(vpc.values())


IMAGE, SERVER = "ami-0000e2c1", "i-0000e2c2"


@pytest.fixture
def server() -> Iterator[str]:
    """The native id of a server of the public image, made as ec2-api makes it."""
    nova = real_openstack.connection("demo").compute
    made = real_openstack.launched_natively(real_openstack.connection("demo"))
    nova.wait_for_server(nova.get_server(made), wait=120)
    yield made
    nova.delete_server(made)


def test_a_public_image_has_its_id_of_old_for_all_projects(
    server: str, config: Path, tmp_path: Path, demo: Any, alt: Any
) -> None:
    image = real_openstack.connection("demo").image.find_image("tiny").id
    old = written(
        tmp_path / "ec2api.db",
        "create table items (id text primary key, project_id text, vpc_id text, os_id text unique, data text)",
        "create table tags (project_id text, item_id text, key text, value text)",
        f"insert into items values ('{IMAGE}', null, null, '{image}', null)",
        f"insert into items values ('{SERVER}', '{demo.tenant_id}', null, '{server}', '{{}}')",
        f"insert into tags values ('{alt.tenant_id}', '{IMAGE}', 'Name', 'base')",
    )
    words = ("import", "ec2-api", "--db", old, "--cloud", "private", "--config", str(config))
    for _ in range(2):
        done = command(*words, state=tmp_path / "state")
        assert (0, "") == (done.returncode, done.stderr)
        assert ["ami-", "1", "0", "1"] in [line.split() for line in done.stdout.splitlines()]

    with serving(tmp_path / "state", "--config", str(config)) as served:
        ec2, theirs = (client(Account("", keys.access, keys.secret, served.endpoint)) for keys in (demo, alt))
        told = [one.describe_images(ImageIds=[IMAGE])["Images"][0] for one in (ec2, theirs)]
        assert [("tiny", True, []), ("tiny", True, [{"Key": "Name", "Value": "base"}])] == [
            (one["Name"], one["Public"], one.get("Tags", [])) for one in told
        ]
        [held] = ec2.describe_instances(InstanceIds=[SERVER])["Reservations"]
        assert IMAGE == held["Instances"][0]["ImageId"]
        [made] = theirs.run_instances(ImageId=IMAGE, InstanceType="m1.nano", MinCount=1, MaxCount=1)["Instances"]
        assert IMAGE == made["ImageId"]
        theirs.terminate_instances(InstanceIds=[made["InstanceId"]])


IN_TERRAFORM = {
    "aws_vpc.ours": "vpc-0000e2b1",
    "aws_subnet.public": "subnet-0000e2b6",
    "aws_subnet.private": "subnet-0000e2b2",
    "aws_internet_gateway.ours": "igw-0000e2b3",
    "aws_route_table.public": "rtb-0000e2b5",
    "aws_route_table_association.public": "subnet-0000e2b6/rtb-0000e2b5",
    "aws_security_group.web": "sg-0000e2b7",
}
"""What is in Terraform's state under ec2-api's ids."""


def test_terraform_has_nothing_to_change_in_what_it_made_by_ec2_api_and_can_destroy_it(
    vpc: dict[str, str], config: Path, tmp_path: Path, demo: Any
) -> None:
    old = database(tmp_path / "ec2api.db", demo.tenant_id, vpc)
    words = ("--db", old, "--os-cloud", "admin", "--cloud", "private", "--config", str(config))
    assert 0 == command("import", "ec2-api", *words, state=tmp_path / "state").returncode
    with serving(tmp_path / "state", "--config", str(config)) as served:
        place = tmp_path / "terraform"
        place.mkdir()
        run = terraform.runner(Account("", demo.access, demo.secret, served.endpoint), place, "ec2api")
        for name, known in IN_TERRAFORM.items():
            run("import", "-no-color", name, known)

        terraform.plan_is_empty(run)
        terraform.destroy(run)

    left = natives() | {one.id for one in real_openstack.connection("demo").network.security_groups()}
    assert not left & set(vpc.values())
