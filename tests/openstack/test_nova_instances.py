"""Servers of a real Nova as instances, through a botocore client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import real_openstack
from real_openstack import until


def state(ec2: Any, instance: str) -> str:
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return str(found["State"]["Name"])


@pytest.fixture(scope="module")
def image(ec2: Any) -> str:
    return str(real_openstack.launch(ec2)["ImageId"])


@pytest.fixture(scope="module")
def instance(ec2: Any, image: str) -> Iterator[str]:
    """A running instance with a name."""
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "first"}]}]
    [made] = ec2.run_instances(
        ImageId=image, InstanceType="m1.nano", MinCount=1, MaxCount=1, TagSpecifications=tags, UserData="#!/bin/sh\n"
    )["Instances"]
    try:
        until(lambda: state(ec2, made["InstanceId"]), "running")
        yield str(made["InstanceId"])
    finally:
        ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
        until(lambda: state(ec2, made["InstanceId"]), "terminated")


def test_an_instance_is_told_with_its_address_group_and_vpc(ec2, instance, image):
    [found] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]

    assert ("m1.nano", image, "us-east-1a") == (
        found["InstanceType"],
        found["ImageId"],
        found["Placement"]["AvailabilityZone"],
    )
    assert found["PrivateIpAddress"].startswith("10.20.0.")
    assert ["default"] == [group["GroupName"] for group in found["SecurityGroups"]]
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    assert vpc["VpcId"] == found["VpcId"]
    assert [{"Key": "Name", "Value": "first"}] == found["Tags"]


def test_an_instance_stops_and_starts(ec2, instance):
    ec2.stop_instances(InstanceIds=[instance])
    until(lambda: state(ec2, instance), "stopped")

    ec2.start_instances(InstanceIds=[instance])

    until(lambda: state(ec2, instance), "running")


def test_an_instance_prints_to_its_console(ec2, instance):
    assert ec2.get_console_output(InstanceId=instance)["Output"]


def test_an_image_of_glances_that_names_a_kernel_and_a_ramdisk_is_launched(ec2):
    there, made = real_openstack.connection("demo").image, []
    try:
        for name, form in (("a-kernel", "aki"), ("a-ramdisk", "ari")):
            made.append(there.create_image(name, data=b"1", container_format=form, disk_format=form, wait=True))
        parts = {"kernel_id": made[0].id, "ramdisk_id": made[1].id}
        made.append(there.create_image("in-parts", data=b"1", container_format="ami", disk_format="ami", **parts))
        [found] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["in-parts"]}])["Images"]
        assert ("aki", "ari") == (found["KernelId"][:3], found["RamdiskId"][:3])

        launched = ec2.run_instances(ImageId=found["ImageId"], InstanceType="m1.nano", MinCount=1, MaxCount=1)
        [instance] = launched["Instances"]
        try:
            until(lambda: state(ec2, instance["InstanceId"]), "running")
        finally:
            ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
            until(lambda: state(ec2, instance["InstanceId"]), "terminated")
    finally:
        for one in made:
            there.delete_image(one)


def test_a_server_of_another_project_does_not_exist(their_ec2, instance):
    assert [] == their_ec2.describe_instances()["Reservations"]
    for verb in ("describe_instances", "stop_instances", "terminate_instances"):
        with pytest.raises(their_ec2.exceptions.ClientError, match=r"InvalidInstanceID\.NotFound"):
            getattr(their_ec2, verb)(InstanceIds=[instance])


def test_describing_one_instance_asks_for_no_other(ec2, instance, calls):
    ec2.describe_instances(InstanceIds=[instance])
    calls.made.clear()

    ec2.describe_instances(InstanceIds=[instance])

    lists = ("/servers", "/ports", "/floatingips", "/security-groups", "/volumes")
    assert len(calls.made) == len(lists)
    assert all(any(each in one for one in calls.made) for each in lists), calls.made
    assert not [one for one in calls.made if "/servers/detail" in one]
    assert len(calls.made) == len(set(calls.made)), "something was asked for twice"


def test_describing_all_instances_asks_for_each_list_once(ec2, instance, calls):
    ec2.describe_instances()

    assert 1 == len([one for one in calls.made if "/servers" in one])
    assert len(calls.made) == len(set(calls.made)), "something was asked for twice"


def test_the_ports_of_several_instances_are_made_in_one_call_and_go_with_them(ec2, image, calls):
    calls.made.clear()
    made = ec2.run_instances(ImageId=image, InstanceType="m1.nano", MinCount=3, MaxCount=3)["Instances"]
    ids = [one["InstanceId"] for one in made]
    try:
        assert 1 == len([one for one in calls.made if one.startswith("POST network")])
        assert 3 == len([one for one in calls.made if one.startswith("POST compute")])
        assert not [one for one in calls.made if calls.made.count(one) > 1 and one.startswith("GET")]
        assert not [one for one in calls.made if one.startswith("GET compute /servers/")], "they are asked for again"
        assert 3 == len({one["PrivateIpAddress"] for one in made})
        until(lambda: {state(ec2, one) for one in ids}, {"running"})
    finally:
        ec2.terminate_instances(InstanceIds=ids)
    until(lambda: {state(ec2, one) for one in ids}, {"terminated"})
    of_these = [{"Name": "attachment.instance-id", "Values": ids}]
    assert [] == ec2.describe_network_interfaces(Filters=of_these)["NetworkInterfaces"]
    left = real_openstack.connection("demo").network.ports(project_id=real_openstack.seeded("demo").tenant_id)
    assert not {one["PrivateIpAddress"] for one in made} & {
        fixed["ip_address"] for port in left for fixed in port.fixed_ips
    }


def test_what_a_launch_answers_is_what_nova_tells_of_the_instance(ec2, image):
    [made] = ec2.run_instances(ImageId=image, InstanceType="m1.nano", MinCount=1, MaxCount=1)["Instances"]
    [held] = ec2.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"]
    try:
        [found] = held["Instances"]
        assert timedelta(0) <= found["LaunchTime"] - made["LaunchTime"] < timedelta(minutes=1)
        passing = {"LaunchTime", "State", "StateTransitionReason", "UsageOperationUpdateTime"}
        assert {key: made[key] for key in made.keys() - passing} == {key: found[key] for key in found.keys() - passing}
    finally:
        ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_instances_are_terminated_without_being_asked_for_one_by_one(ec2, image, calls):
    made = ec2.run_instances(ImageId=image, InstanceType="m1.nano", MinCount=5, MaxCount=5)["Instances"]
    ids = [one["InstanceId"] for one in made]
    until(lambda: {state(ec2, one) for one in ids}, {"running"})
    calls.made.clear()

    ended = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]

    asked = [one for one in calls.made if not one.startswith("DELETE network")]
    assert 5 == len([one for one in asked if one.startswith("DELETE compute /servers/")])
    assert 5 == len([one for one in asked if one.startswith("GET")]), asked
    assert {("running", "shutting-down")} == {
        (one["PreviousState"]["Name"], one["CurrentState"]["Name"]) for one in ended
    }
    until(lambda: {state(ec2, one) for one in ids}, {"terminated"})


def test_what_a_server_that_is_deleted_by_nova_leaves_is_taken_away(ec2, image):
    nova = real_openstack.connection("demo")
    [made] = ec2.run_instances(ImageId=image, InstanceType="m1.nano", MinCount=1, MaxCount=1)["Instances"]
    until(lambda: state(ec2, made["InstanceId"]), "running")

    nova.compute.delete_server(real_openstack.server_at("demo", made["PrivateIpAddress"]))

    until(lambda: state(ec2, made["InstanceId"]), "shutting-down")
    until(lambda: state(ec2, made["InstanceId"]), "terminated")
    ports = nova.network.ports(project_id=nova.current_project_id)
    assert made["PrivateIpAddress"] not in {fixed["ip_address"] for port in ports for fixed in port.fixed_ips}
