"""OpenStack's suite of EC2 tests against a real OpenStack: what does not pass is what docs/tempest.md lists."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import real_openstack
import tempest_suite
from served import Account, client, serving

pytestmark = pytest.mark.skipif(
    not tempest_suite.PYTHON.exists(), reason="OpenStack's suite is not installed: make clients"
)
WORKERS = 3
LONGEST = (
    *("api.test_network_interfaces.NetworkInterfaceTest", "api.test_tags.TagTest"),
    *("api.test_instance_attributes.InstanceAttributeTest", "api.test_addresses.AddressTest"),
    *("api.test_instances.InstanceTest", "scenario.test_ebs_instances.EC2_EBSInstanceTuneBDM"),
    *("api.test_instances_vpc.InstanceInVPCTest", "scenario.test_ebs_instances.EC2_EBSInstanceSnapshot"),
    *("api.test_volumes.VolumeTest", "api.test_images.ImageTest", "scenario.test_paging.SnapshotPagingTest"),
    *("scenario.test_paging.TagsPagingTest", "api.test_instances_ebs.InstanceWithEBSTest"),
    *("api.test_snapshots.SnapshotTest", "api.test_routes.RouteTest", "api.test_internet_gateways.InternetGatewayTest"),
    *("api.test_security_groups.SecurityGroupInVPCTest", "scenario.test_ebs_instances.EC2_EBSInstanceAttaching"),
)
"""Neutron takes seconds for a change."""

Project = tuple[Any, Any]
"""What is in it as it is seen without Isthmus, and its EC2 keys."""


@pytest.fixture
def projects(_up: None) -> Iterator[list[Project]]:
    """Projects that are the suite's alone."""
    with ExitStack() as undo:
        yield [_project(f"suite-{uuid4().hex[:8]}", undo.callback) for _ in range(WORKERS)]


def _project(name: str, after: Any) -> Project:
    admin = real_openstack.connection("admin")
    project = admin.identity.create_project(name=name, domain_id="default")
    after(admin.identity.delete_project, project)
    user = admin.identity.create_user(name=name, password=name, domain_id="default")
    after(admin.identity.delete_user, user)
    admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
    asked = {"json": {"tenant_id": project.id}}
    keys = admin.identity.post(f"/users/{user.id}/credentials/OS-EC2", **asked).json()["credential"]
    seen = admin.connect_as(username=name, password=name, project_id=project.id, project_name=None)
    after(_end, seen)
    return seen, keys


def _end(seen: Any) -> None:
    _empty(seen)
    assert _left(seen) == set()


def _empty(seen: Any) -> None:
    """Delete all that is in a project: openstacksdk does not know of OVN's own ports, and leaves networks."""
    seen.project_cleanup(dry_run=False)
    network, own = seen.network, {"project_id": seen.current_project_id}
    for router in network.routers(**own):
        for port in network.ports(device_id=router.id):
            network.remove_interface_from_router(router, port_id=port.id)
        network.delete_router(router)
    for port in network.ports(**own, device_owner=""):
        network.delete_port(port)
    for one in network.networks(**own):
        network.delete_network(one)
    for group in network.security_groups(**own):
        if group.name != "default":
            network.delete_security_group(group)


def _left(seen: Any) -> set[str]:
    """What is in a project: kinds and ids."""
    found: queue.Queue[Any] = queue.Queue()
    seen.project_cleanup(dry_run=True, status_queue=found)
    own = {"project_id": seen.current_project_id}
    networks = [*seen.network.networks(**own), *seen.network.routers(**own), *seen.network.ports(**own)]
    return {f"{type(one).__name__} {one.id}" for one in [*found.queue, *networks]}


def test_what_does_not_pass_is_listed_with_the_reason(projects: list[Project], config: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "state", "--config", str(config)) as served:
        accounts = [Account("", keys["access"], keys["secret"], served.endpoint) for _, keys in projects]
        machines = {account: _machines(account) for account in accounts}
        found = tempest_suite.run(machines, tmp_path, interval=1, longest=LONGEST)
    assert len(found) == 181
    tempest_suite.judge("openstack", found)


def _machines(account: Account) -> tempest_suite.Machines:
    """The cloud's image, and one of a snapshot; there is a default VPC to launch them in."""
    ec2 = client(account)
    ec2.create_default_vpc()
    image, _, _ = real_openstack.image_of_a_volume(ec2, "of-a-snapshot", "/dev/vda")
    return tempest_suite.Machines(real_openstack.launch(ec2)["ImageId"], image, "m1.nano", "m1.micro")
