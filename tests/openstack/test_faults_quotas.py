"""Quotas of a real Nova, Neutron and Cinder that are full: each has EC2's code, and what is refused leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import real_openstack
from botocore.exceptions import ClientError

ZONE = "us-east-1a"


@pytest.fixture(scope="module")
def admin() -> Any:
    return real_openstack.connection("admin")


@pytest.fixture(scope="module")
def full(admin: Any, demo: Any) -> Callable[..., Any]:
    """A quota of the project `demo` that is as large as what it has, for a while."""

    @contextmanager
    def made(service: str, name: str) -> Iterator[None]:
        proxy = {"compute": admin.compute, "volume": admin.block_storage, "network": admin.network}[service]
        network = service == "network"
        path = f"/quotas/{demo.tenant_id}" if network else f"/os-quota-sets/{demo.tenant_id}"
        word = "quota" if network else "quota_set"
        said = proxy.get(f"{path}/details.json" if network else f"{path}{_USED[service]}").json()[word][name]
        used = said["used"] if network else said["in_use"]
        _set(proxy, path, word, name, used)
        try:
            yield
        finally:
            _set(proxy, path, word, name, said["limit"])

    return made


_USED = {"compute": "/detail", "volume": "?usage=True"}


def _set(proxy: Any, path: str, word: str, name: str, value: int) -> None:
    answer = proxy.put(path, json={word: {name: value}})
    assert 200 == answer.status_code, answer.text


def refused(call: Callable[..., Any], **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**asked)
    return str(caught.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def asked(ec2: Any) -> dict[str, Any]:
    return real_openstack.launch(ec2)


@pytest.fixture(scope="module")
def subnet(ec2: Any) -> str:
    return str(ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]["SubnetId"])


def ports() -> set[str]:
    return {one.id for one in real_openstack.connection("demo").network.ports() if one.device_owner != "network:dhcp"}


@pytest.mark.parametrize(
    ("service", "name", "code"),
    [
        ("compute", "instances", "InstanceLimitExceeded"),
        ("compute", "cores", "VcpuLimitExceeded"),
        ("compute", "ram", "InstanceLimitExceeded"),
        ("network", "port", "NetworkInterfaceLimitExceeded"),
    ],
)
def test_a_launch_beyond_a_quota_is_refused_and_leaves_nothing(ec2, full, asked, service, name, code):
    before = ports()

    with full(service, name):
        assert code == refused(ec2.run_instances, **asked)

    assert before == ports()
    assert not list(real_openstack.connection("demo").compute.servers())


@pytest.mark.parametrize(
    ("name", "code"), [("instances", "InstanceLimitExceeded"), ("server_groups", "PlacementGroupLimitExceeded")]
)
def test_a_launch_into_a_group_beyond_a_quota_is_refused_and_leaves_nothing(ec2, full, asked, name, code):
    before = ports()
    ec2.create_placement_group(GroupName="full", Strategy="spread")
    try:
        with full("compute", name):
            assert code == refused(ec2.run_instances, **asked, Placement={"GroupName": "full"})
    finally:
        ec2.delete_placement_group(GroupName="full")

    assert before == ports()
    assert [] == list(real_openstack.connection("demo").compute.server_groups())


def test_what_is_beyond_a_quota_of_neutron_is_refused(ec2, full, subnet):
    with full("network", "floatingip"):
        assert "AddressLimitExceeded" == refused(ec2.allocate_address, Domain="vpc")
    with full("network", "port"):
        assert "NetworkInterfaceLimitExceeded" == refused(ec2.create_network_interface, SubnetId=subnet)
    with full("network", "security_group"):
        assert "SecurityGroupLimitExceeded" == refused(ec2.create_security_group, GroupName="more", Description="more")
    with full("network", "network"):
        assert "VpcLimitExceeded" == refused(ec2.create_vpc, CidrBlock="10.77.0.0/16")


def test_rules_beyond_the_quota_are_refused(ec2, full):
    group = ec2.create_security_group(GroupName="one of few rules", Description="few")["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    try:
        with full("network", "security_group_rule"):
            code = refused(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[rule])
        assert "RulesPerSecurityGroupLimitExceeded" == code
    finally:
        ec2.delete_security_group(GroupId=group)


@pytest.mark.parametrize("name", ["volumes", "gigabytes"])
def test_a_volume_beyond_a_quota_is_refused_and_leaves_nothing(ec2, full, name):
    with full("volume", name):
        assert "VolumeLimitExceeded" == refused(ec2.create_volume, AvailabilityZone=ZONE, Size=1)

    assert [] == ec2.describe_volumes()["Volumes"]


@pytest.fixture
def volume(ec2: Any) -> Iterator[str]:
    made = ec2.create_volume(AvailabilityZone=ZONE, Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig={"Delay": 1})
    yield made
    ec2.delete_volume(VolumeId=made)
    real_openstack.until(lambda: ec2.describe_volumes()["Volumes"], [])


@pytest.mark.parametrize("name", ["snapshots", "gigabytes"])
def test_a_snapshot_beyond_a_quota_is_refused_and_leaves_nothing(ec2, full, volume, name):
    with full("volume", name):
        assert "SnapshotLimitExceeded" == refused(ec2.create_snapshot, VolumeId=volume)

    assert [] == ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]


def test_a_launch_with_a_key_pair_beyond_the_quota_is_refused_and_leaves_nothing(ec2, full, asked):
    """Nova is given a key pair with its first launch, and says of none that they are used: the quota is none at all."""
    before = ports()
    ec2.create_key_pair(KeyName="one more")
    try:
        with full("compute", "key_pairs"):
            assert "KeyPairLimitExceeded" == refused(ec2.run_instances, **asked, KeyName="one more")
    finally:
        ec2.delete_key_pair(KeyName="one more")

    assert before == ports()
    assert not list(real_openstack.connection("demo").compute.servers())


def test_a_subnet_beyond_a_quota_is_refused_and_leaves_its_vpc_empty(ec2, full):
    vpc = ec2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    try:
        with full("network", "subnet"):
            assert "SubnetLimitExceeded" == refused(ec2.create_subnet, VpcId=vpc, CidrBlock="10.78.1.0/24")
        assert [] == ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
    finally:
        ec2.delete_vpc(VpcId=vpc)
