"""boto3 over a real socket: clients, resources, waiters, paginators, presigned URLs."""

from __future__ import annotations

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from served import REGION, Account, client, eventually

pytestmark = pytest.mark.clients


@pytest.fixture
def ec2(account: Account) -> Any:
    return client(account)


@pytest.fixture
def resource(account: Account) -> Any:
    session = boto3.Session(account.access_key, account.secret, region_name=REGION)
    return session.resource("ec2", endpoint_url=account.endpoint)


def _wait(ec2: Any, name: str, **what: Any) -> None:
    ec2.get_waiter(name).wait(WaiterConfig={"Delay": 1, "MaxAttempts": 30}, **what)


def test_resources_lead_a_whole_life(resource: Any, image: str) -> None:
    group = resource.create_security_group(GroupName="web", Description="for the web")
    group.authorize_ingress(IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="0.0.0.0/0")
    key = resource.create_key_pair(KeyName="mine")
    [instance] = resource.create_instances(
        ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName=key.name, SecurityGroupIds=[group.id]
    )
    eventually(lambda: (instance.reload(), instance.state["Name"])[1], lambda state: state == "running")
    instance.create_tags(Tags=[{"Key": "Name", "Value": "one"}])
    volume = resource.create_volume(AvailabilityZone=instance.placement["AvailabilityZone"], Size=1)
    eventually(lambda: (volume.reload(), volume.state)[1], lambda state: state == "available")
    volume.attach_to_instance(InstanceId=instance.id, Device="/dev/sdf")
    eventually(lambda: (volume.reload(), volume.attachments[0]["State"])[1], lambda state: state == "attached")

    named = list(resource.instances.filter(Filters=[{"Name": "tag:Name", "Values": ["one"]}]))
    assert [instance] == named
    assert {"/dev/sda1", "/dev/sdf"} == {one.attachments[0]["Device"] for one in instance.volumes.all()}
    assert "mine" == instance.key_pair.name
    assert instance.id in instance.console_output()["Output"]
    assert image == instance.image.id

    address = resource.VpcAddress(resource.meta.client.allocate_address()["AllocationId"])
    address.associate(InstanceId=instance.id)
    assert address.public_ip == resource.Instance(instance.id).public_ip_address

    address.association.delete()
    address.release()
    instance.terminate()
    eventually(lambda: (instance.reload(), instance.state["Name"])[1], lambda state: state == "terminated")
    eventually(lambda: (volume.reload(), volume.state)[1], lambda state: state == "available")
    volume.delete()
    group.delete()
    key.delete()
    eventually(lambda: list(resource.volumes.all()), lambda left: left == [])


def test_waiters_await_what_is_on_its_way(ec2: Any, image: str) -> None:
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=2, MaxCount=2)["Instances"]
    ids = [one["InstanceId"] for one in made]
    _wait(ec2, "instance_exists", InstanceIds=ids)
    _wait(ec2, "instance_running", InstanceIds=ids)
    _wait(ec2, "instance_status_ok", InstanceIds=ids)
    ec2.stop_instances(InstanceIds=ids)
    _wait(ec2, "instance_stopped", InstanceIds=ids)
    ec2.terminate_instances(InstanceIds=ids)
    _wait(ec2, "instance_terminated", InstanceIds=ids)

    states = {one["State"]["Name"] for made in ec2.describe_instances()["Reservations"] for one in made["Instances"]}
    assert {"terminated"} == states


def test_a_waiter_for_a_deleted_volume_ends(ec2: Any) -> None:
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    _wait(ec2, "volume_available", VolumeIds=[volume])
    ec2.delete_volume(VolumeId=volume)

    _wait(ec2, "volume_deleted", VolumeIds=[volume])


def test_paginators_see_everything_once(ec2: Any, image: str) -> None:
    for _ in range(3):
        ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=5)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5}))

    ids = [one["InstanceId"] for page in pages for made in page["Reservations"] for one in made["Instances"]]
    assert 15 == len(ids) == len(set(ids))
    assert 1 < len(pages)


def test_one_token_is_one_instance_though_eight_ask_at_once(ec2: Any, image: str) -> None:
    def launch(_: int) -> str:
        made = ec2.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, ClientToken="the-same-token"
        )
        return str(made["Instances"][0]["InstanceId"])

    with ThreadPoolExecutor(8) as several:
        answers = set(several.map(launch, range(16)))

    [reservation] = ec2.describe_instances()["Reservations"]
    assert answers == {one["InstanceId"] for one in reservation["Instances"]}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_urls_signed_beforehand_are_answered(ec2: Any, method: str) -> None:
    url = ec2.generate_presigned_url("describe_regions", HttpMethod=method)
    with urllib.request.urlopen(urllib.request.Request(url, method=method)) as answer:
        assert b"<regionName>us-east-1</regionName>" in answer.read()


def test_the_older_signature_is_accepted(account: Account) -> None:
    assert client(account, signature_version="v2").describe_regions()["Regions"]


def test_a_wrong_secret_is_refused(account: Account) -> None:
    wrong = Account(account.id, account.access_key, "not-the-secret", account.endpoint)
    with pytest.raises(ClientError) as refused:
        client(wrong).describe_instances()

    assert "AuthFailure" == refused.value.response["Error"]["Code"]
    assert 401 == refused.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_accounts_do_not_see_each_other(account: Account, memory_service: Any, image: str, ec2: Any) -> None:
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    stranger = client(memory_service.new_account("stranger"))

    assert [] == stranger.describe_instances()["Reservations"]
    with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
        stranger.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_the_answer_to_what_is_no_request_is_a_refusal_in_xml(account: Account) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{account.endpoint}/?Action=DescribeInstances&Version=2016-11-15")

    assert 400 <= refused.value.code < 500
    assert b"<Code>" in refused.value.read()
