"""Detailed monitoring, and attributes of instances that are reset or not there."""

from __future__ import annotations

from asking import attribute, instance, refusal

NOBODY = "i-0123456789abcdef0"


def test_an_instance_is_monitored_until_it_is_no_longer(ec2, launched):
    [answer] = ec2.monitor_instances(InstanceIds=[launched])["InstanceMonitorings"]
    assert (answer["InstanceId"], answer["Monitoring"]["State"]) == (launched, "pending")
    assert instance(ec2, launched)["Monitoring"]["State"] == "enabled"

    [answer] = ec2.unmonitor_instances(InstanceIds=[launched])["InstanceMonitorings"]
    assert answer["Monitoring"]["State"] == "disabling"
    assert instance(ec2, launched)["Monitoring"]["State"] == "disabled"


def test_what_cannot_be_monitored_changes_nothing(house, ec2, launched):
    assert refusal(ec2.monitor_instances, InstanceIds=[launched, NOBODY]) == "InvalidInstanceID.NotFound"
    assert instance(ec2, launched)["Monitoring"]["State"] == "disabled"
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()
    assert refusal(ec2.monitor_instances, InstanceIds=[launched]) == "IncorrectInstanceState"


def test_a_strangers_instance_is_not_monitored(ec2, stranger, launched):
    assert refusal(stranger.monitor_instances, InstanceIds=[launched]) == "InvalidInstanceID.NotFound"
    assert instance(ec2, launched)["Monitoring"]["State"] == "disabled"


def test_the_source_check_is_reset_to_on(ec2, launched):
    ec2.modify_instance_attribute(InstanceId=launched, SourceDestCheck={"Value": False})

    ec2.reset_instance_attribute(InstanceId=launched, Attribute="sourceDestCheck")

    assert attribute(ec2, launched, "sourceDestCheck") == {"Value": True}


def test_other_attributes_are_not_reset(ec2, launched):
    reset = ec2.reset_instance_attribute
    assert refusal(reset, InstanceId=launched, Attribute="kernel") == "UnsupportedOperation"
    assert refusal(reset, InstanceId=launched, Attribute="instanceType") == "InvalidParameterValue"
    assert refusal(reset, InstanceId=NOBODY, Attribute="sourceDestCheck") == "InvalidInstanceID.NotFound"


def test_a_guest_with_a_bios_has_no_uefi_data(ec2, launched):
    assert refusal(ec2.get_instance_uefi_data, InstanceId=launched) == "UnsupportedOperation"
    assert refusal(ec2.get_instance_uefi_data, InstanceId=NOBODY) == "InvalidInstanceID.NotFound"


def test_a_screen_is_not_kept(ec2, launched):
    assert refusal(ec2.get_console_screenshot, InstanceId=launched) == "UnsupportedOperation"
