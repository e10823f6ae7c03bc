"""How instances end, by EC2's words and real guests: what protects them, what they do themselves, what force does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from served import Account, Served, client, end_machines, eventually, machines, serving, tiny_image

from isthmus.providers.local import halts, tiny

pytestmark = pytest.mark.qemu
SETTINGS = """
[clouds.local]
kind = "local"
accelerator = "tcg"

[background]
reconcile_seconds = 1
"""
SECONDS = 180.0
DEAF = """#!/bin/sh
rm /etc/acpi/*/*
killall acpid
(n=0; while :; do echo "BEAT $n" >/dev/console; n=$((n + 1)); sleep 1; done) &
"""
"""It hears no power button, and tells that it goes on."""
SHUTS_DOWN = "#!/bin/sh\nsync\npoweroff -f\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_image: tiny.Tiny) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("ends")
    (place / "isthmus.toml").write_text(SETTINGS)
    state = place / "state"
    try:
        with serving(state, "--config", str(place / "isthmus.toml")) as service:
            yield service
    finally:
        end_machines(state)


@pytest.fixture(scope="module")
def account(served: Served) -> Account:
    return served.new_account("ends")


@pytest.fixture(scope="module")
def ec2(account: Account) -> Any:
    return client(account)


def launched(account: Account, script: str, **more: Any) -> str:
    asked = {"ImageId": tiny_image(account), "InstanceType": "t2.nano", "MinCount": 1, "MaxCount": 1}
    made = client(account).run_instances(UserData=script, **asked, **more)
    return str(made["Instances"][0]["InstanceId"])


def found(ec2: Any, instance: str) -> Any:
    return ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]


def await_state(ec2: Any, instance: str, state: str) -> Any:
    return eventually(lambda: found(ec2, instance), lambda one: one["State"]["Name"] == state, SECONDS)


def console(ec2: Any, instance: str) -> str:
    return str(ec2.get_console_output(InstanceId=instance).get("Output", ""))


def beats(ec2: Any, instance: str) -> int:
    """How often the guest has said that it goes on."""
    return console(ec2, instance).count("BEAT ")


def refusal(call: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**asked)
    return str(refused.value.response["Error"]["Code"])


@pytest.fixture(scope="module")
def guarded(account: Account, ec2: Any) -> str:
    """An instance that may be neither stopped nor terminated, and whose guest hears no power button."""
    instance = launched(account, DEAF, DisableApiTermination=True, DisableApiStop=True)
    eventually(lambda: beats(ec2, instance), seconds=SECONDS)
    return instance


def test_the_console_begins_with_how_the_machine_runs(ec2: Any, guarded: str, served: Served) -> None:
    first = console(ec2, guarded).splitlines()[0]

    ways = ("in namespaces made by root", "in namespaces within a user namespace", "on user-mode networking (slirp)")
    assert first in [f"Isthmus: an emulated machine (tcg), {way}" for way in ways]
    assert ("slirp" in first) == ('"network": "slirp"' in served.get("/health").body)


def test_a_protected_instance_is_refused_its_end_and_goes_on(ec2: Any, guarded: str, served: Served) -> None:
    before, running = beats(ec2, guarded), machines(served.state)

    assert "OperationNotPermitted" == refusal(ec2.terminate_instances, InstanceIds=[guarded])
    assert "OperationNotPermitted" == refusal(ec2.stop_instances, InstanceIds=[guarded])
    assert "OperationNotPermitted" == refusal(ec2.stop_instances, InstanceIds=[guarded], Force=True)

    after = beats(ec2, guarded)
    assert after >= before
    eventually(lambda: beats(ec2, guarded), lambda now: now > after + 2, SECONDS)
    assert "running" == found(ec2, guarded)["State"]["Name"]
    assert set(running) <= set(machines(served.state))


def test_a_guest_that_hears_no_power_button_is_cut_off_and_by_force_at_once(account: Account, ec2: Any) -> None:
    instance = launched(account, DEAF, DisableApiStop=True)
    eventually(lambda: beats(ec2, instance), seconds=SECONDS)
    assert "OperationNotPermitted" == refusal(ec2.stop_instances, InstanceIds=[instance])
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": False})

    ec2.stop_instances(InstanceIds=[instance])
    stopped = await_state(ec2, instance, "stopped")
    assert "Client.UserInitiatedShutdown" == stopped["StateReason"]["Code"]
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    assert stopped["StateTransitionReason"].endswith(
        "GMT): the guest did not shut down within 20 seconds, and was cut off"
    )

    ec2.start_instances(InstanceIds=[instance])
    await_state(ec2, instance, "running")
    ec2.stop_instances(InstanceIds=[instance], Force=True)
    stopped = await_state(ec2, instance, "stopped")
    assert stopped["StateTransitionReason"].startswith("User initiated (")
    assert stopped["StateTransitionReason"].endswith("GMT)")

    ec2.start_instances(InstanceIds=[instance])
    await_state(ec2, instance, "running")
    ec2.terminate_instances(InstanceIds=[instance], SkipOsShutdown=True)
    began = time.monotonic()
    await_state(ec2, instance, "terminated")
    assert time.monotonic() - began < halts.POWERDOWN_SECONDS


def volumes_of(ec2: Any, instance: str) -> dict[str, str]:
    held = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [instance]}])["Volumes"]
    return {one["Attachments"][0]["Device"]: one["VolumeId"] for one in held}


def test_an_instance_that_shuts_itself_down_ends_with_its_volumes_if_it_is_to(account: Account, ec2: Any) -> None:
    disks = [
        {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}},
        {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": False}},
    ]
    asked = {"DisableApiTermination": True, "BlockDeviceMappings": disks}
    instance = launched(account, SHUTS_DOWN, InstanceInitiatedShutdownBehavior="terminate", **asked)
    held = volumes_of(ec2, instance)
    assert 3 == len(held)

    ended = await_state(ec2, instance, "terminated")

    assert "Client.InstanceInitiatedShutdown" == ended["StateReason"]["Code"]
    kept = held.pop("/dev/sdg")
    one_of = [{"Name": "volume-id", "Values": [kept, *held.values()]}]
    eventually(lambda: [kept] == [one["VolumeId"] for one in ec2.describe_volumes(Filters=one_of)["Volumes"]])
    assert "available" == ec2.describe_volumes(VolumeIds=[kept])["Volumes"][0]["State"]
    ec2.delete_volume(VolumeId=kept)


def test_an_instance_that_shuts_itself_down_is_stopped_if_it_is_to(account: Account, ec2: Any) -> None:
    instance = launched(account, SHUTS_DOWN, InstanceInitiatedShutdownBehavior="stop")
    held = volumes_of(ec2, instance)

    stopped = await_state(ec2, instance, "stopped")

    assert "Client.InstanceInitiatedShutdown" == stopped["StateReason"]["Code"]
    assert held == volumes_of(ec2, instance) != {}
    ec2.start_instances(InstanceIds=[instance])
    eventually(lambda: console(ec2, instance).count("tiny: ready"), seconds=SECONDS)
    assert "running" == found(ec2, instance)["State"]["Name"]
    ec2.terminate_instances(InstanceIds=[instance])
    await_state(ec2, instance, "terminated")
