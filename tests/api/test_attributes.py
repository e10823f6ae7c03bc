"""Attributes of instances, and changing them."""

from __future__ import annotations

import base64

import pytest
from asking import attribute, disks, instance, refusal, state

NOBODY = "i-0123456789abcdef0"


def stop(house, ec2, known):
    ec2.stop_instances(InstanceIds=[known])
    house.settle()
    assert state(ec2, known) == "stopped"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("instanceType", {"Value": "t3.micro"}),
        ("userData", {}),
        ("disableApiTermination", {"Value": False}),
        ("disableApiStop", {"Value": False}),
        ("instanceInitiatedShutdownBehavior", {"Value": "stop"}),
        ("rootDeviceName", {"Value": "/dev/sda1"}),
        ("productCodes", []),
        ("sourceDestCheck", {"Value": True}),
        ("ebsOptimized", {"Value": False}),
        ("sriovNetSupport", {}),
        ("enaSupport", {"Value": True}),
        ("enclaveOptions", {"Enabled": False}),
    ],
)
def test_attributes_have_awss_defaults(ec2, launched, name, expected):
    assert attribute(ec2, launched, name) == expected


def test_attributes_that_name_other_things(ec2, launched):
    made = instance(ec2, launched)

    assert attribute(ec2, launched, "groupSet") == made["SecurityGroups"]
    [mapping] = attribute(ec2, launched, "blockDeviceMapping")
    assert mapping["Ebs"]["VolumeId"] == disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    assert attribute(ec2, launched, "kernel")["Value"] == made["KernelId"]
    assert attribute(ec2, launched, "ramdisk")["Value"] == made["RamdiskId"]


def test_an_attribute_that_is_none_is_refused(ec2, launched):
    asked = {"InstanceId": launched, "Attribute": "colour"}
    assert refusal(ec2.describe_instance_attribute, **asked) == "InvalidParameterValue"
    assert refusal(ec2.modify_instance_attribute, **asked, Value="red") == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("asked", "name", "expected"),
    [
        ({"DisableApiTermination": {"Value": True}}, "disableApiTermination", True),
        ({"Attribute": "disableApiTermination", "Value": "true"}, "disableApiTermination", True),
        ({"DisableApiStop": {"Value": True}}, "disableApiStop", True),
        ({"SourceDestCheck": {"Value": False}}, "sourceDestCheck", False),
        ({"Attribute": "sourceDestCheck", "Value": "false"}, "sourceDestCheck", False),
        (
            {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}},
            "instanceInitiatedShutdownBehavior",
            "terminate",
        ),
        (
            {"Attribute": "instanceInitiatedShutdownBehavior", "Value": "terminate"},
            "instanceInitiatedShutdownBehavior",
            "terminate",
        ),
    ],
)
def test_an_attribute_of_a_running_instance_can_be_changed_in_either_spelling(ec2, launched, asked, name, expected):
    ec2.modify_instance_attribute(InstanceId=launched, **asked)

    assert attribute(ec2, launched, name) == {"Value": expected}


@pytest.mark.parametrize(
    ("asked", "name", "expected"),
    [
        ({"InstanceType": {"Value": "m5.large"}}, "instanceType", "m5.large"),
        ({"Attribute": "instanceType", "Value": "m5.large"}, "instanceType", "m5.large"),
        ({"EbsOptimized": {"Value": True}}, "ebsOptimized", True),
        ({"UserData": {"Value": b"new"}}, "userData", base64.b64encode(b"new").decode()),
        ({"Attribute": "userData", "Value": base64.b64encode(b"new").decode()}, "userData", "bmV3"),
    ],
)
def test_what_a_guest_is_built_of_is_changed_while_it_is_stopped(house, ec2, launched, asked, name, expected):
    before = attribute(ec2, launched, name)
    assert refusal(ec2.modify_instance_attribute, InstanceId=launched, **asked) == "IncorrectInstanceState"
    assert attribute(ec2, launched, name) == before
    stop(house, ec2, launched)
    ec2.modify_instance_attribute(InstanceId=launched, **asked)

    assert attribute(ec2, launched, name) == {"Value": expected}


def test_a_new_type_is_what_runs_from_then_on(house, ec2, launched):
    stop(house, ec2, launched)
    ec2.modify_instance_attribute(InstanceId=launched, InstanceType={"Value": "m5.large"})
    ec2.start_instances(InstanceIds=[launched])
    house.settle()

    made = instance(ec2, launched)
    assert (made["InstanceType"], made["CpuOptions"]["CoreCount"]) == ("m5.large", 2)
    assert (made["State"]["Name"], made["ImageId"].startswith("ami-")) == ("running", True)


def test_user_data_can_be_emptied(house, ec2, launched):
    stop(house, ec2, launched)
    ec2.modify_instance_attribute(InstanceId=launched, UserData={"Value": b"new"})
    ec2.modify_instance_attribute(InstanceId=launched, UserData={"Value": b""})

    assert attribute(ec2, launched, "userData") == {}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidParameterCombination"),
        (
            {"DisableApiStop": {"Value": True}, "DisableApiTermination": {"Value": True}},
            "InvalidParameterCombination",
        ),
        ({"Kernel": {"Value": "aki-0123456789abcdef0"}}, "UnsupportedOperation"),
        ({"Attribute": "kernel", "Value": "aki-0123456789abcdef0"}, "UnsupportedOperation"),
        ({"SriovNetSupport": {"Value": "simple"}}, "UnsupportedOperation"),
        ({"EnaSupport": {"Value": False}}, "UnsupportedOperation"),
        ({"InstanceInitiatedShutdownBehavior": {"Value": "sleep"}}, "InvalidParameterValue"),
        ({"Attribute": "disableApiTermination", "Value": "perhaps"}, "InvalidParameterValue"),
        ({"Groups": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]},
            "InvalidInstanceAttributeValue",
        ),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "NoDevice": "x"}]}, "UnsupportedOperation"),
    ],
)
def test_a_change_that_cannot_be_is_refused(ec2, launched, asked, code):
    before = instance(ec2, launched)

    assert refusal(ec2.modify_instance_attribute, InstanceId=launched, **asked) == code
    assert instance(ec2, launched) == before


def test_an_unknown_type_is_refused(house, ec2, launched):
    stop(house, ec2, launched)

    asked = {"InstanceId": launched, "InstanceType": {"Value": "q9.huge"}}
    assert refusal(ec2.modify_instance_attribute, **asked) == "InvalidParameterValue"


def test_groups_of_an_instance_are_replaced_as_a_whole(ec2, launched):
    groups = [ec2.create_security_group(GroupName=name, Description="d")["GroupId"] for name in ("web", "db")]
    ec2.modify_instance_attribute(InstanceId=launched, Groups=groups)

    assert {one["GroupId"] for one in instance(ec2, launched)["SecurityGroups"]} == set(groups)
    ec2.modify_instance_attribute(InstanceId=launched, Groups=groups[:1])
    assert [one["GroupId"] for one in attribute(ec2, launched, "groupSet")] == groups[:1]


def test_whether_a_disk_goes_with_its_instance_can_be_changed(house, ec2, launched):
    keep = [{"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}}]
    root = disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    ec2.modify_instance_attribute(InstanceId=launched, BlockDeviceMappings=keep)

    assert instance(ec2, launched)["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"] is False
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()
    assert ec2.describe_volumes(VolumeIds=[root])["Volumes"][0]["State"] == "available"


def test_a_protected_instance_is_not_terminated_nor_are_others_named_with_it(house, ec2, image, launched):
    other = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)["Instances"][0]
    house.settle()
    ec2.modify_instance_attribute(InstanceId=launched, DisableApiTermination={"Value": True})

    ids = [other["InstanceId"], launched]
    assert refusal(ec2.terminate_instances, InstanceIds=ids) == "OperationNotPermitted"
    assert {state(ec2, one) for one in ids} == {"running"}
    ec2.modify_instance_attribute(InstanceId=launched, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=ids)
    assert {state(ec2, one) for one in ids} == {"shutting-down"}


def test_an_instance_protected_from_stops_is_not_stopped(ec2, launched):
    ec2.modify_instance_attribute(InstanceId=launched, DisableApiStop={"Value": True})

    assert refusal(ec2.stop_instances, InstanceIds=[launched]) == "OperationNotPermitted"
    assert state(ec2, launched) == "running"


def test_metadata_options_can_be_changed(ec2, launched):
    asked = {"HttpTokens": "required", "HttpPutResponseHopLimit": 3, "HttpEndpoint": "enabled"}
    answer = ec2.modify_instance_metadata_options(InstanceId=launched, **asked)["InstanceMetadataOptions"]

    assert asked.items() <= answer.items()
    assert answer == instance(ec2, launched)["MetadataOptions"]
    assert (answer["State"], answer["InstanceMetadataTags"]) == ("applied", "disabled")
    for wrong in ({"HttpTokens": "perhaps"}, {"HttpPutResponseHopLimit": 0}, {"HttpEndpoint": "ajar"}):
        code = refusal(ec2.modify_instance_metadata_options, InstanceId=launched, **wrong)
        assert code == "InvalidParameterValue"
    wrong = {"InstanceId": launched, "HttpProtocolIpv6": "enabled"}
    assert refusal(ec2.modify_instance_metadata_options, **wrong) == "UnsupportedOperation"
    assert answer == instance(ec2, launched)["MetadataOptions"]


def test_a_terminated_instance_cannot_be_changed(house, ec2, launched):
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    change = {"InstanceId": launched, "DisableApiTermination": {"Value": False}}
    assert refusal(ec2.modify_instance_attribute, **change) == "IncorrectInstanceState"
    options = {"InstanceId": launched, "HttpTokens": "required"}
    assert refusal(ec2.modify_instance_metadata_options, **options) == "IncorrectInstanceState"
    asked = {"InstanceId": launched, "Attribute": "userData"}
    assert refusal(ec2.describe_instance_attribute, **asked) == "InvalidInstanceID.NotFound"


@pytest.mark.parametrize("known", [NOBODY, "launched"])
def test_a_strangers_instance_is_not_there(stranger, ec2, launched, known):
    known = launched if known == "launched" else known
    before = instance(ec2, launched)

    change = {"InstanceId": known, "DisableApiTermination": {"Value": True}}
    assert refusal(stranger.modify_instance_attribute, **change) == "InvalidInstanceID.NotFound"
    asked = {"InstanceId": known, "Attribute": "userData"}
    assert refusal(stranger.describe_instance_attribute, **asked) == "InvalidInstanceID.NotFound"
    options = {"InstanceId": known, "HttpTokens": "required"}
    assert refusal(stranger.modify_instance_metadata_options, **options) == "InvalidInstanceID.NotFound"
    credits_ = {"InstanceIds": [known]}
    assert refusal(stranger.describe_instance_credit_specifications, **credits_) == "InvalidInstanceID.NotFound"
    assert instance(ec2, launched) == before
