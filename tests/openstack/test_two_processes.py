"""Two Isthmus over one store: what both are asked for at the same moment is made once in a real OpenStack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
from botocore.exceptions import ClientError
from real_openstack import Keys
from served import Account, Served, client, serving


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Served]]:
    place = tmp_path_factory.mktemp("two")
    settings = place / "isthmus.toml"
    settings.write_text(real_openstack.settings())
    words = ("--config", str(settings))
    with serving(place / "state", *words) as one, serving(place / "state", *words) as other:
        yield one, other


@pytest.fixture(scope="module")
def both(services: tuple[Served, Served]) -> list[Any]:
    """A client of `demo` for each."""
    clients = clients_of(services, real_openstack.seeded("demo"))
    for each in clients:
        each.describe_vpcs()
    return clients


def clients_of(services: tuple[Served, Served], keys: Keys) -> list[Any]:
    return [client(Account("", keys.access, keys.secret, each.endpoint)) for each in services]


@pytest.fixture
def newcomer() -> Iterator[Keys]:
    """Who has a new project, with nothing in it and unknown to every Isthmus."""
    admin = real_openstack.connection("admin")
    identity, name = admin.identity, f"newcomer-{uuid4().hex[:8]}"
    project = identity.create_project(name=name, domain_id="default")
    user = identity.create_user(name=name, domain_id="default", password=uuid4().hex, default_project_id=project.id)
    [role] = identity.roles(name="member")
    identity.assign_project_role_to_user(project, user, role)
    url = f"{real_openstack.auth_url()}/users/{user.id}/credentials/OS-EC2"
    made = admin.session.post(url, json={"tenant_id": project.id}).json()["credential"]
    yield Keys(made["access"], made["secret"], user.id, project.id)
    network = admin.network
    for router in network.routers(project_id=project.id):
        for port in network.ports(device_id=router.id, device_owner="network:router_interface"):
            network.remove_interface_from_router(router, port=port.id)
        network.delete_router(router)
    for one in network.networks(project_id=project.id):
        network.delete_network(one)
    for group in network.security_groups(project_id=project.id):
        network.delete_security_group(group)
    identity.delete_user(user)
    identity.delete_project(project)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What each answers, or the code that it is refused with; all begin together."""
    gate = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return call()
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


@pytest.fixture
def vpc(both: list[Any]) -> Iterator[str]:
    ec2 = both[0]
    made = ec2.create_vpc(CidrBlock="10.79.0.0/16")["Vpc"]["VpcId"]
    yield made
    mine = [{"Name": "vpc-id", "Values": [made]}]
    for one in ec2.describe_subnets(Filters=mine)["Subnets"]:
        ec2.delete_subnet(SubnetId=one["SubnetId"])
    attached = [{"Name": "attachment.vpc-id", "Values": [made]}]
    for one in ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]:
        ec2.detach_internet_gateway(InternetGatewayId=one["InternetGatewayId"], VpcId=made)
        ec2.delete_internet_gateway(InternetGatewayId=one["InternetGatewayId"])
    for one in ec2.describe_security_groups(Filters=mine)["SecurityGroups"]:
        if one["GroupName"] != "default":
            ec2.delete_security_group(GroupId=one["GroupId"])
    ec2.delete_vpc(VpcId=made)


def routers() -> set[str]:
    return {one.id for one in real_openstack.connection("demo").network.routers()}


def test_the_first_subnets_of_a_vpc_have_one_router(both: list[Any], vpc: str) -> None:
    before = routers()

    made = at_once(
        lambda: both[0].create_subnet(VpcId=vpc, CidrBlock="10.79.0.0/24"),
        lambda: both[1].create_subnet(VpcId=vpc, CidrBlock="10.79.1.0/24"),
    )

    assert all("Subnet" in one for one in made), made
    [router] = routers() - before
    network = real_openstack.connection("demo").network
    inside = {fixed["subnet_id"] for port in network.ports(device_id=router) for fixed in port.fixed_ips}
    assert 2 == len(inside)


def test_a_subnet_and_a_way_outside_have_one_router(both: list[Any], vpc: str) -> None:
    before = routers()
    gateway = both[0].create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    made = at_once(
        lambda: both[0].attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc),
        lambda: both[1].create_subnet(VpcId=vpc, CidrBlock="10.79.0.0/24"),
    )

    assert "Subnet" in made[1], made
    [router] = routers() - before
    assert real_openstack.connection("demo").network.get_router(router).external_gateway_info


def test_of_two_groups_of_one_name_one_is_made(both: list[Any], vpc: str) -> None:
    asked = {"GroupName": "twice", "Description": "twice", "VpcId": vpc}

    made = at_once(*(lambda ec2=ec2: ec2.create_security_group(**asked) for ec2 in both))

    assert ["InvalidGroup.Duplicate"] == [one for one in made if isinstance(one, str)]
    [group] = [one for one in real_openstack.connection("demo").network.security_groups() if one.name == "twice"]
    assert group


def test_the_first_requests_of_a_project_make_one_default_vpc(services: tuple[Served, Served], newcomer: Keys) -> None:
    ec2 = clients_of(services, newcomer)

    made = at_once(*(each.create_default_vpc for each in ec2 for _ in range(2)))

    assert 3 == made.count("DefaultVpcAlreadyExists"), made
    [vpc] = [one["Vpc"] for one in made if isinstance(one, dict)]
    for each in ec2:
        [seen] = each.describe_vpcs()["Vpcs"]
        [subnet] = each.describe_subnets()["Subnets"]
        assert (vpc["VpcId"], vpc["VpcId"], True) == (seen["VpcId"], subnet["VpcId"], seen["IsDefault"])
    network = real_openstack.connection("admin").network
    [inside] = network.networks(project_id=newcomer.tenant_id)
    [router] = network.routers(project_id=newcomer.tenant_id)
    [within] = network.subnets(project_id=newcomer.tenant_id)
    [link] = network.ports(device_id=router.id, device_owner="network:router_interface")
    assert (inside.id, inside.id) == (within.network_id, link.network_id)
    assert router.external_gateway_info
