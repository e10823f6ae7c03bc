"""Instances through a real botocore client."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asking import instances, machine_image, refusal, tagged
from botocore.exceptions import ClientError

from isthmus.model import Condition, ServerState, Verdict
from isthmus.providers.memory.compute import MemoryCompute


def _one(ec2: Any, instance: str) -> Any:
    [reservation] = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    [found] = reservation["Instances"]
    return found


def _state(ec2: Any, instance: str) -> str:
    return str(_one(ec2, instance)["State"]["Name"])


def launch(house: Any, ec2: Any) -> str:
    """A running instance of the house."""
    made = ec2.run_instances(ImageId=machine_image(ec2), InstanceType="t3.micro", MinCount=1, MaxCount=1)
    house.settle()
    return str(made["Instances"][0]["InstanceId"])


def test_a_launched_instance_is_pending_and_then_running(house, ec2, image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]

    assert made["State"]["Name"] == "pending"
    assert _state(ec2, made["InstanceId"]) == "pending"
    house.settle()
    assert _state(ec2, made["InstanceId"]) == "running"


def test_a_stopped_instance_is_listed_as_stopping(ec2, launched):
    ec2.stop_instances(InstanceIds=[launched])

    assert _state(ec2, launched) == "stopping"


def test_a_terminated_instance_stays_visible_for_as_long_as_configured(build):
    house = build(terminated_visible=timedelta(minutes=5))
    ec2 = house.client()
    launched = launch(house, ec2)
    ec2.terminate_instances(InstanceIds=[launched])
    assert _state(ec2, launched) == "shutting-down"
    house.settle()
    assert _state(ec2, launched) == "terminated"
    house.settle(310)
    with pytest.raises(ClientError, match="InvalidInstanceID.NotFound"):
        ec2.describe_instances(InstanceIds=[launched])


def test_a_launch_of_many_is_one_reservation(ec2, image):
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=3, MaxCount=3)

    [reservation] = ec2.describe_instances()["Reservations"]
    assert made["ReservationId"] == reservation["ReservationId"]
    assert sorted(one["AmiLaunchIndex"] for one in reservation["Instances"]) == [0, 1, 2]


def test_a_stopped_instance_keeps_what_it_had_and_starts_again(house, ec2, launched):
    before = _one(ec2, launched)
    [change] = ec2.stop_instances(InstanceIds=[launched])["StoppingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "stopping")
    house.settle()
    stopped = _one(ec2, launched)
    assert stopped["State"] == {"Code": 80, "Name": "stopped"}
    assert stopped["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    assert stopped["PrivateIpAddress"] == before["PrivateIpAddress"]
    assert len(stopped["BlockDeviceMappings"]) == 1

    [change] = ec2.start_instances(InstanceIds=[launched])["StartingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("stopped", "pending")
    house.settle()
    started = _one(ec2, launched)
    assert started["State"] == {"Code": 16, "Name": "running"}
    assert started["StateTransitionReason"] == ""
    assert "StateReason" not in started
    assert started["LaunchTime"] > before["LaunchTime"]


def test_what_is_done_already_changes_nothing(house, ec2, launched):
    [change] = ec2.start_instances(InstanceIds=[launched])["StartingInstances"]
    assert change["PreviousState"] == change["CurrentState"] == {"Code": 16, "Name": "running"}
    ec2.stop_instances(InstanceIds=[launched])
    [change] = ec2.stop_instances(InstanceIds=[launched])["StoppingInstances"]
    assert change["PreviousState"]["Name"] == change["CurrentState"]["Name"] == "stopping"


def test_an_instance_is_not_stopped_while_it_is_pending_nor_started_while_it_stops(house, ec2, image, launched):
    young = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]

    assert refusal(ec2.stop_instances, InstanceIds=[launched, young["InstanceId"]]) == "IncorrectInstanceState"
    assert _state(ec2, launched) == "running"
    ec2.stop_instances(InstanceIds=[launched])
    assert refusal(ec2.start_instances, InstanceIds=[launched]) == "IncorrectInstanceState"


def test_a_terminated_instance_goes_nowhere(house, ec2, launched):
    [change] = ec2.terminate_instances(InstanceIds=[launched])["TerminatingInstances"]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == ("running", "shutting-down")
    house.settle()

    gone = _one(ec2, launched)
    assert gone["State"] == {"Code": 48, "Name": "terminated"}
    assert gone["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert gone["StateTransitionReason"].startswith("User initiated (")
    assert (gone["InstanceType"], gone["BlockDeviceMappings"], gone["NetworkInterfaces"]) == ("t3.micro", [], [])
    assert "PrivateIpAddress" not in gone
    for verb in (ec2.start_instances, ec2.stop_instances, ec2.reboot_instances):
        assert refusal(verb, InstanceIds=[launched]) == "IncorrectInstanceState"
    [change] = ec2.terminate_instances(InstanceIds=[launched])["TerminatingInstances"]
    assert change["PreviousState"] == change["CurrentState"] == {"Code": 48, "Name": "terminated"}


def test_a_reboot_keeps_an_instance_running(house, ec2, launched):
    ec2.reboot_instances(InstanceIds=[launched])
    house.settle()
    assert _state(ec2, launched) == "running"
    ec2.stop_instances(InstanceIds=[launched])
    assert refusal(ec2.reboot_instances, InstanceIds=[launched]) == "IncorrectInstanceState"


def test_one_unknown_id_among_several_stops_it_all(ec2, launched):
    for verb in (ec2.stop_instances, ec2.start_instances, ec2.reboot_instances, ec2.terminate_instances):
        assert refusal(verb, InstanceIds=[launched, "i-0123456789abcdef0"]) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.describe_instances, InstanceIds=["i-xyz"]) == "InvalidInstanceID.Malformed"
    assert refusal(ec2.describe_instances, InstanceIds=["i-0"]) == "InvalidInstanceID.NotFound"
    assert refusal(ec2.describe_instances, InstanceIds=["i-" + 18 * "0"]) == "InvalidInstanceID.Malformed"
    assert _state(ec2, launched) == "running"


def test_a_strangers_instance_is_not_there(ec2, stranger, launched):
    verbs = ("start", "stop", "reboot", "terminate", "describe")
    for verb in verbs:
        call = getattr(stranger, f"{verb}_instances")
        assert refusal(call, InstanceIds=[launched]) == "InvalidInstanceID.NotFound"
    for call in (stranger.get_console_output, stranger.get_password_data):
        assert refusal(call, InstanceId=launched) == "InvalidInstanceID.NotFound"
    assert refusal(stranger.describe_instance_status, InstanceIds=[launched]) == "InvalidInstanceID.NotFound"
    assert stranger.describe_instances()["Reservations"] == []
    assert _state(ec2, launched) == "running"


def test_the_console_is_readable_text_with_a_time(ec2, launched):
    answer = ec2.get_console_output(InstanceId=launched)

    assert answer["InstanceId"] == launched
    assert "simulated server" in answer["Output"]
    assert answer["Timestamp"].tzinfo


def test_what_is_no_windows_has_no_password(ec2, launched):
    answer = ec2.get_password_data(InstanceId=launched)

    assert (answer["InstanceId"], answer["PasswordData"]) == (launched, "")


def test_a_cloud_that_does_not_tell_a_windows_password_says_so(ec2):
    windows = ec2.describe_images(Filters=[{"Name": "platform", "Values": ["windows"]}])["Images"][0]["ImageId"]
    [made] = ec2.run_instances(ImageId=windows, InstanceType="t3.medium", MinCount=1, MaxCount=1)["Instances"]
    assert refusal(ec2.get_password_data, InstanceId=made["InstanceId"]) == "UnsupportedOperation"


def test_a_running_instance_is_well(house, ec2, image, launched):
    young = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]

    [status] = ec2.describe_instance_status()["InstanceStatuses"]
    assert status["InstanceId"] == launched
    assert status["InstanceStatus"]["Status"] == status["SystemStatus"]["Status"] == "ok"
    assert status["AvailabilityZone"] == "us-east-1a"
    everything = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert {one["InstanceId"]: one["InstanceState"]["Name"] for one in everything} == {
        launched: "running",
        young["InstanceId"]: "pending",
    }
    assert ec2.describe_instance_status(InstanceIds=[young["InstanceId"]])["InstanceStatuses"] == []


def test_waiters_of_clients_find_the_states_they_wait_for(house, ec2, launched):
    ec2.get_waiter("instance_running").wait(InstanceIds=[launched])
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[launched])
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[launched])
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[launched])


def test_instances_are_found_by_what_they_are(house, ec2, image):
    ec2.create_key_pair(KeyName="mine")
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    made = ec2.run_instances(
        ImageId=image,
        InstanceType="m5.large",
        MinCount=1,
        MaxCount=1,
        KeyName="mine",
        SecurityGroupIds=[group],
        ClientToken="my-token",
        Placement={"AvailabilityZone": "us-east-1b"},
        TagSpecifications=tagged("instance", Name="web-1", role="web"),
    )
    ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    house.settle()
    [wanted] = made["Instances"]
    address = ec2.allocate_address()
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=wanted["InstanceId"])
    said = _one(ec2, wanted["InstanceId"])
    [interface] = said["NetworkInterfaces"]
    [disk] = said["BlockDeviceMappings"]
    filters = {
        "instance-id": wanted["InstanceId"],
        "reservation-id": made["ReservationId"],
        "instance-type": "m5.*",
        "key-name": "mine",
        "availability-zone": "us-east-1b",
        "private-ip-address": said["PrivateIpAddress"],
        "private-dns-name": said["PrivateDnsName"],
        "ip-address": address["PublicIp"],
        "dns-name": said["PublicDnsName"],
        "instance.group-id": group,
        "instance.group-name": "we?",
        "group-id": group,
        "group-name": "web",
        "client-token": "my-token",
        "subnet-id": said["SubnetId"],
        "tag:Name": "web-*",
        "tag-key": "role",
        "tag-value": "web",
        "block-device-mapping.volume-id": disk["Ebs"]["VolumeId"],
        "network-interface.network-interface-id": interface["NetworkInterfaceId"],
        "network-interface.addresses.private-ip-address": said["PrivateIpAddress"],
        "network-interface.addresses.association.public-ip": address["PublicIp"],
        "network-interface.association.public-ip": address["PublicIp"],
        "network-interface.association.allocation-id": address["AllocationId"],
        "network-interface.mac-address": interface["MacAddress"],
    }
    for name, value in filters.items():
        assert list(_ids(ec2, name, value)) == [wanted["InstanceId"]], name
    of_all = {
        "image-id": image,
        "instance-state-name": "running",
        "instance-state-code": "16",
        "vpc-id": said["VpcId"],
        "architecture": "x86_64",
        "root-device-type": "ebs",
        "root-device-name": "/dev/sda1",
        "block-device-mapping.device-name": "/dev/sda1",
        "block-device-mapping.delete-on-termination": "true",
        "virtualization-type": "hvm",
        "tenancy": "default",
        "monitoring-state": "disabled",
        "owner-id": house.account[0],
        "metadata-options.http-tokens": "optional",
        "source-dest-check": "true",
    }
    for name, value in of_all.items():
        assert len(list(_ids(ec2, name, value))) == 2, name
        assert list(_ids(ec2, name, "nothing")) == [], name


def _ids(ec2, name, value):
    return [one["InstanceId"] for one in instances(ec2, Filters=[{"Name": name, "Values": [value]}])]


def _shut_down_from_within(house: Any, instance: str) -> None:
    """What a cloud says of a server whose guest has shut itself down."""
    [tenant] = house.cloud._world._tenants.values()
    [server] = [one for one in tenant.servers if one.ref == instance]
    tenant.servers.put(replace(server, state=ServerState.STOPPED, shut_down=True))


def test_what_a_cloud_says_of_a_stop_stands_behind_who_asked_for_it(house, ec2, launched):
    ec2.stop_instances(InstanceIds=[launched])
    house.settle()
    asked = _one(ec2, launched)["StateTransitionReason"]
    [tenant] = house.cloud._world._tenants.values()
    [server] = [one for one in tenant.servers if one.ref == launched]
    tenant.servers.put(replace(server, state=ServerState.STOPPED, reason="it was cut off"))

    assert _one(ec2, launched)["StateTransitionReason"] == f"{asked}: it was cut off"


@pytest.mark.parametrize(("behavior", "state"), [("stop", "stopped"), ("terminate", "terminated")])
def test_an_instance_that_shuts_itself_down_stops_or_ends(house, ec2, image, behavior, state):
    made = ec2.run_instances(
        ImageId=image,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        InstanceInitiatedShutdownBehavior=behavior,
        DisableApiTermination=True,
    )
    instance = made["Instances"][0]["InstanceId"]
    house.settle()
    _shut_down_from_within(house, instance)
    assert _one(ec2, instance)["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"

    house.mend()
    house.settle()

    found = _one(ec2, instance)
    assert found["State"]["Name"] == state
    assert found["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"
    assert found["StateTransitionReason"] == ""


@pytest.mark.parametrize(
    ("machine", "guest", "said"),
    [
        (Verdict.OK, Verdict.IMPAIRED, ("ok", "impaired", "failed")),
        (Verdict.IMPAIRED, Verdict.UNKNOWN, ("impaired", "insufficient-data", "insufficient-data")),
        (Verdict.OK, Verdict.INITIALIZING, ("ok", "initializing", "initializing")),
    ],
)
def test_what_a_cloud_sees_of_an_instance_is_its_status(ec2, launched, monkeypatch, machine, guest, said):
    since = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    condition = Condition(machine, guest, since)
    monkeypatch.setattr(MemoryCompute, "conditions", lambda _, natives: dict.fromkeys(natives, condition))

    [status] = ec2.describe_instance_status(InstanceIds=[launched])["InstanceStatuses"]

    [detail] = status["InstanceStatus"]["Details"]
    assert said == (status["SystemStatus"]["Status"], status["InstanceStatus"]["Status"], detail["Status"])
    assert (detail.get("ImpairedSince") == since) == (guest is Verdict.IMPAIRED)
    named = [{"Name": "instance-status.status", "Values": [said[1]]}]
    assert len(ec2.describe_instance_status(Filters=named)["InstanceStatuses"]) == 1
