"""RunInstances: what is asked for is what is made, or nothing is."""

from __future__ import annotations

import base64

import pytest
from asking import attribute, disks, instance, instances, machine_image, refusal, state, tagged, where

from isthmus.errors import NoCapacity

ONE = {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
NOBODYS = "0123456789abcdef0"


def run(ec2, image, **asked):
    return ec2.run_instances(**{"ImageId": image, **ONE, **asked})


def launch(ec2, image, **asked):
    """The id of the one instance launched."""
    [made] = run(ec2, image, **asked)["Instances"]
    return made["InstanceId"]


def nothing_is_there(house, ec2):
    house.settle()
    return not list(instances(ec2)) and not ec2.describe_volumes()["Volumes"] and not house.world.store.find("i-")


def test_an_instance_says_what_it_was_launched_with(ec2, image):
    known = launch(ec2, image, InstanceType="t2.small", Placement={"AvailabilityZone": "us-east-1b"})

    made = instance(ec2, known)
    assert (made["ImageId"], made["InstanceType"]) == (image, "t2.small")
    assert made["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert made["Placement"]["AvailabilityZoneId"] == "use1-az2"
    assert made["PrivateDnsName"].startswith("ip-172-31-")
    assert made["RootDeviceName"] == made["BlockDeviceMappings"][0]["DeviceName"]
    [interface] = made["NetworkInterfaces"]
    assert interface["PrivateIpAddress"] == made["PrivateIpAddress"]
    assert (interface["SubnetId"], interface["VpcId"]) == (made["SubnetId"], made["VpcId"])
    assert interface["Attachment"]["DeviceIndex"] == 0
    assert [one["GroupName"] for one in made["SecurityGroups"]] == ["default"]


def test_what_was_not_said_has_awss_defaults(ec2, image):
    made = instance(ec2, ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"])

    assert made["InstanceType"] == "m1.small"
    assert made["Monitoring"] == {"State": "disabled"}
    assert (made["EbsOptimized"], made["SourceDestCheck"]) == (False, True)
    assert made["MetadataOptions"] == {
        "State": "applied",
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": 1,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    }


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ImageId": f"ami-{NOBODYS}"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "ami-zebra"}, "InvalidAMIID.Malformed"),
        ({"ImageId": ""}, "MissingParameter"),
        ({"InstanceType": "q9.huge"}, "InvalidParameterValue"),
        ({"KeyName": "nobody's"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroups": ["nobody's"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": [f"sg-{NOBODYS}"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": f"subnet-{NOBODYS}"}, "InvalidSubnetID.NotFound"),
        ({"Placement": {"AvailabilityZone": "us-east-1z"}}, "InvalidParameterValue"),
        ({"Placement": {"Tenancy": "dedicated"}}, "UnsupportedOperation"),
        ({"KernelId": f"aki-{NOBODYS}"}, "InvalidAMIID.NotFound"),
        ({"RamdiskId": f"ari-{NOBODYS}"}, "InvalidAMIID.NotFound"),
        ({"MinCount": 0}, "InvalidParameterValue"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "10.9.8.7"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.0.77", "MaxCount": 2}, "InvalidParameterCombination"),
        ({"UserData": base64.b64encode(b"x" * 16385).decode()}, "InvalidParameterValue"),
        ({"InstanceInitiatedShutdownBehavior": "sleep"}, "InvalidParameterValue"),
        ({"CreditSpecification": {"CpuCredits": "endless"}}, "InvalidParameterValue"),
        ({"MetadataOptions": {"HttpTokens": "sometimes"}}, "InvalidParameterValue"),
        ({"MetadataOptions": {"HttpPutResponseHopLimit": 65}}, "InvalidParameterValue"),
        ({"IamInstanceProfile": {"Name": "no such/name"}}, "InvalidParameterValue"),
        ({"HibernationOptions": {"Configured": True}}, "UnsupportedOperation"),
        ({"LaunchTemplate": {"LaunchTemplateName": "x"}}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"InstanceMarketOptions": {"MarketType": "capacity-block"}}, "UnsupportedOperation"),
    ],
)
def test_a_refused_launch_makes_nothing(house, ec2, image, asked, code):
    assert refusal(ec2.run_instances, **{"ImageId": image, **ONE, **asked}) == code
    assert nothing_is_there(house, ec2)


def test_a_launch_above_the_accounts_limit_is_refused_whole(build):
    house = build(instances=3)
    ec2 = house.client()
    image = machine_image(ec2)

    assert refusal(run, ec2=ec2, image=image, MinCount=4, MaxCount=4) == "InstanceLimitExceeded"
    assert nothing_is_there(house, ec2)


def test_a_launch_gets_as_many_as_the_accounts_limit_leaves(build):
    house = build(instances=3)
    ec2 = house.client()

    assert len(run(ec2, machine_image(ec2), MinCount=1, MaxCount=10)["Instances"]) == 3
    assert len(list(instances(ec2))) == 3


def test_terminated_instances_do_not_count(build):
    house = build(instances=1)
    ec2 = house.client()
    known = launch(ec2, machine_image(ec2))
    ec2.terminate_instances(InstanceIds=[known])

    assert launch(ec2, machine_image(ec2))


def test_a_launch_of_at_least_as_many_as_the_cloud_allows_is_what_it_allows(build):
    house = build(quota={"server": 2})
    ec2 = house.client()

    made = run(ec2, machine_image(ec2), MinCount=1, MaxCount=5)["Instances"]
    assert len(made) == 2
    assert {one["InstanceId"] for one in made} == {one["InstanceId"] for one in instances(ec2)}


@pytest.mark.parametrize(("quota", "code"), [("server", "InstanceLimitExceeded"), ("volume", "VolumeLimitExceeded")])
def test_a_launch_of_more_than_the_cloud_allows_is_taken_back_whole(build, quota, code):
    house = build(quota={quota: 2})
    ec2 = house.client()
    asked = {"TagSpecifications": tagged("instance", Name="web")}

    assert refusal(run, ec2=ec2, image=machine_image(ec2), MinCount=3, MaxCount=3, **asked) == code
    assert not list(instances(ec2))
    house.settle()
    assert nothing_is_there(house, ec2)
    assert not ec2.describe_tags()["Tags"]
    assert not house.world.store.unfinished("server")


def test_a_launch_that_was_taken_back_can_be_tried_again_with_its_token(build):
    house = build(quota={"server": 2})
    ec2 = house.client()
    image = machine_image(ec2)
    first = launch(ec2, image)
    asked = {"ec2": ec2, "image": image, "MinCount": 2, "MaxCount": 2, "ClientToken": "again"}
    assert refusal(run, **asked) == "InstanceLimitExceeded"
    ec2.terminate_instances(InstanceIds=[first])

    assert refusal(run, **asked) in ("InstanceLimitExceeded", "Unavailable")  # what was made is still going
    house.settle()
    made = {one["InstanceId"] for one in run(**asked)["Instances"]}
    house.settle()
    assert len(made) == 2
    assert {state(ec2, one) for one in made} == {"running"}


class Full:
    """A session whose servers find no room from the n-th on."""

    def __init__(self, session, after):
        self._session, self._left = session, after

    def __getattr__(self, name):
        return self if name == "compute" else getattr(self._session, name)

    def prepare_servers(self, specs):
        self._session.compute.prepare_servers(specs)

    def create_server(self, spec):
        if self._left <= 0:
            raise NoCapacity("server", "", "There is no room.")
        self._left -= 1
        return self._session.compute.create_server(spec)

    def list_servers(self, natives=None):
        return self._session.compute.list_servers(natives)

    def list_flavors(self):
        return self._session.compute.list_flavors()

    def delete_server(self, native, *, force=False):
        return self._session.compute.delete_server(native, force=force)


def test_a_launch_into_a_full_cloud_is_taken_back_whole(house, ec2, image, monkeypatch):
    session = house.cloud.session
    monkeypatch.setattr(house.cloud, "session", lambda tenant: Full(session(tenant), 2))

    assert refusal(run, ec2=ec2, image=image, MinCount=3, MaxCount=3) == "InsufficientInstanceCapacity"
    assert nothing_is_there(house, ec2)


def test_groups_are_named_or_given_by_id(ec2, image):
    made = {name: ec2.create_security_group(GroupName=name, Description="d")["GroupId"] for name in ("web", "db")}

    by_name = instance(ec2, launch(ec2, image, SecurityGroups=["web", "db"]))
    by_id = instance(ec2, launch(ec2, image, SecurityGroupIds=list(made.values())))
    by_interface = instance(
        ec2, launch(ec2, image, NetworkInterfaces=[{"DeviceIndex": 0, "Groups": list(made.values())}])
    )
    for one in (by_name, by_id, by_interface):
        assert {group["GroupName"]: group["GroupId"] for group in one["SecurityGroups"]} == made


def test_a_subnet_says_the_zone(ec2, image):
    [subnet] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1b"))["Subnets"]

    made = instance(ec2, launch(ec2, image, SubnetId=subnet["SubnetId"]))
    assert made["Placement"]["AvailabilityZone"] == "us-east-1b"
    asked = {"SubnetId": subnet["SubnetId"], "Placement": {"AvailabilityZone": "us-east-1a"}}
    assert refusal(run, ec2=ec2, image=image, **asked) == "InvalidParameterValue"


def test_a_private_address_can_be_chosen_once(ec2, image):
    [subnet] = ec2.describe_subnets(Filters=where(availability_zone="us-east-1a"))["Subnets"]
    address = subnet["CidrBlock"].rpartition(".")[0] + ".77"
    known = launch(ec2, image, SubnetId=subnet["SubnetId"], PrivateIpAddress=address)

    assert instance(ec2, known)["PrivateIpAddress"] == address
    asked = {"SubnetId": subnet["SubnetId"], "PrivateIpAddress": address}
    assert refusal(run, ec2=ec2, image=image, **asked) == "InvalidIPAddress.InUse"


@pytest.mark.parametrize("data", [b"#!/bin/sh\necho hello\n", bytes(range(256)), b"x" * 16384])
def test_user_data_comes_back_as_it_was(ec2, image, data):
    known = launch(ec2, image, UserData=data)

    assert base64.b64decode(attribute(ec2, known, "userData")["Value"]) == data


def test_an_instance_without_user_data_has_none(ec2, launched):
    assert attribute(ec2, launched, "userData") == {}


def test_a_kernel_and_a_ramdisk_can_be_chosen(ec2, image):
    loadable = {
        kind: ec2.describe_images(Filters=where(image_type=kind))["Images"][0]["ImageId"]
        for kind in ("kernel", "ramdisk")
    }

    made = instance(ec2, launch(ec2, image, KernelId=loadable["kernel"], RamdiskId=loadable["ramdisk"]))
    assert (made["KernelId"], made["RamdiskId"]) == (loadable["kernel"], loadable["ramdisk"])
    swapped = {"KernelId": loadable["ramdisk"]}
    assert refusal(run, ec2=ec2, image=image, **swapped) == "InvalidAMIID.Malformed"
    assert refusal(run, ec2=ec2, image=loadable["kernel"]) == "InvalidAMIID.NotFound"


def test_the_root_disk_can_be_made_larger_and_kept(house, ec2, image):
    root = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9, "VolumeType": "gp3", "DeleteOnTermination": False}}
    known = launch(ec2, image, BlockDeviceMappings=[root])
    house.settle()

    held = disks(ec2, known)["/dev/sda1"]
    assert (held["Size"], held["VolumeType"]) == (9, "gp3")
    assert held["Attachments"][0]["DeleteOnTermination"] is False
    ec2.terminate_instances(InstanceIds=[known])
    house.settle()
    [kept] = ec2.describe_volumes(VolumeIds=[held["VolumeId"]])["Volumes"]
    assert (kept["State"], kept["Attachments"]) == ("available", [])


def test_the_root_disk_goes_with_its_instance(house, ec2, launched):
    root = disks(ec2, launched)["/dev/sda1"]["VolumeId"]
    ec2.terminate_instances(InstanceIds=[launched])
    house.settle()

    assert refusal(ec2.describe_volumes, VolumeIds=[root]) == "InvalidVolume.NotFound"


def test_more_disks_are_blank_or_of_a_snapshot(house, ec2, image, launched):
    snapshot = ec2.create_snapshot(VolumeId=disks(ec2, launched)["/dev/sda1"]["VolumeId"])["SnapshotId"]
    house.settle()
    blank = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 3}}
    copied = {"DeviceName": "/dev/sdc", "Ebs": {"SnapshotId": snapshot, "DeleteOnTermination": True}}
    known = launch(ec2, image, BlockDeviceMappings=[blank, copied])
    house.settle()

    held = disks(ec2, known)
    assert sorted(held) == ["/dev/sda1", "/dev/sdb", "/dev/sdc"]
    assert (held["/dev/sdb"]["Size"], held["/dev/sdb"]["SnapshotId"]) == (3, "")
    assert held["/dev/sdc"]["SnapshotId"] == snapshot
    said = {one["DeviceName"]: one["Ebs"] for one in instance(ec2, known)["BlockDeviceMappings"]}
    assert {device: one["VolumeId"] for device, one in said.items()} == {
        device: one["VolumeId"] for device, one in held.items()
    }
    assert [said[device]["DeleteOnTermination"] for device in sorted(said)] == [True, True, True]


def test_no_device_leaves_a_disk_of_the_image_out(house, ec2, image):
    blank = {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}
    known = launch(ec2, image, BlockDeviceMappings=[blank])
    house.settle()
    two_disks = ec2.create_image(InstanceId=known, Name="two disks")["ImageId"]
    house.settle()

    whole, cut = (
        launch(ec2, two_disks),
        launch(ec2, two_disks, BlockDeviceMappings=[{"DeviceName": "/dev/sdb", "NoDevice": ""}]),
    )
    assert sorted(disks(ec2, whole)) == ["/dev/sda1", "/dev/sdb"]
    assert sorted(disks(ec2, cut)) == ["/dev/sda1"]


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ([{"DeviceName": "/dev/sda1", "NoDevice": ""}], "InvalidBlockDeviceMapping"),
        ([{"DeviceName": "/dev/sdb"}], "InvalidBlockDeviceMapping"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1}}] * 2, "InvalidBlockDeviceMapping"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"SnapshotId": f"snap-{NOBODYS}"}}], "InvalidSnapshot.NotFound"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 0}}], "InvalidParameterValue"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1, "VolumeType": "floppy"}}], "InvalidParameterValue"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1, "KmsKeyId": "k"}}], "UnsupportedOperation"),
        ([{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 1, "VolumeType": "io1"}}], "MissingParameter"),
        ([{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}], "UnsupportedOperation"),
        ([{"Ebs": {"VolumeSize": 1}}], "MissingParameter"),
    ],
)
def test_a_disk_that_cannot_be_is_refused(house, ec2, image, mapping, code):
    assert refusal(run, ec2=ec2, image=image, BlockDeviceMappings=mapping) == code
    assert nothing_is_there(house, ec2)


def test_a_root_disk_smaller_than_the_image_is_refused(ec2):
    [windows] = ec2.describe_images(Filters=where(platform="windows"))["Images"]
    root = {"DeviceName": windows["RootDeviceName"], "Ebs": {"VolumeSize": 1}}

    asked = {"ec2": ec2, "image": windows["ImageId"], "BlockDeviceMappings": [root]}
    assert refusal(run, **asked) == "InvalidBlockDeviceMapping"
    known = launch(ec2, windows["ImageId"])
    assert instance(ec2, known)["Platform"] == "windows"


def test_the_root_disk_cannot_be_of_another_snapshot(house, ec2, image, launched):
    snapshot = ec2.create_snapshot(VolumeId=disks(ec2, launched)["/dev/sda1"]["VolumeId"])["SnapshotId"]
    house.settle()
    root = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot}}

    assert refusal(run, ec2=ec2, image=image, BlockDeviceMappings=[root]) == "InvalidBlockDeviceMapping"


def test_what_is_launched_is_tagged(ec2, image):
    kinds = ("instance", "volume", "network-interface")
    specifications = [one for kind in kinds for one in tagged(kind, of=kind)]
    known = launch(ec2, image, TagSpecifications=specifications)

    made = instance(ec2, known)
    assert made["Tags"] == [{"Key": "of", "Value": "instance"}]
    assert disks(ec2, known)["/dev/sda1"]["Tags"] == [{"Key": "of", "Value": "volume"}]
    port = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    [interface] = ec2.describe_network_interfaces(NetworkInterfaceIds=[port])["NetworkInterfaces"]
    assert interface["TagSet"] == [{"Key": "of", "Value": "network-interface"}]


def test_the_tags_of_what_goes_with_an_instance_go_with_it(house, ec2, image):
    specifications = [one for kind in ("volume", "network-interface") for one in tagged(kind, of=kind)]
    known = launch(ec2, image, TagSpecifications=specifications)
    house.settle()
    ec2.terminate_instances(InstanceIds=[known])

    assert not ec2.describe_tags()["Tags"]


def test_protection_credits_and_metadata_options_can_be_said_at_launch(ec2, image):
    known = launch(
        ec2,
        image,
        DisableApiTermination=True,
        DisableApiStop=True,
        InstanceInitiatedShutdownBehavior="terminate",
        CreditSpecification={"CpuCredits": "standard"},
        Monitoring={"Enabled": True},
        EbsOptimized=True,
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
    )

    made = instance(ec2, known)
    assert (made["Monitoring"]["State"], made["EbsOptimized"]) == ("enabled", True)
    options = made["MetadataOptions"]
    said = (options["HttpTokens"], options["HttpPutResponseHopLimit"], options["InstanceMetadataTags"])
    assert said == ("required", 2, "enabled")
    assert attribute(ec2, known, "disableApiTermination") == {"Value": True}
    assert attribute(ec2, known, "disableApiStop") == {"Value": True}
    assert attribute(ec2, known, "instanceInitiatedShutdownBehavior") == {"Value": "terminate"}
    [credits_] = ec2.describe_instance_credit_specifications(InstanceIds=[known])["InstanceCreditSpecifications"]
    assert credits_["CpuCredits"] == "standard"


@pytest.mark.parametrize(("kind", "expected"), [("t2.micro", "standard"), ("t3.micro", "unlimited")])
def test_burstable_types_have_their_own_default_of_credits(ec2, image, kind, expected):
    known = launch(ec2, image, InstanceType=kind)

    [said] = ec2.describe_instance_credit_specifications(InstanceIds=[known])["InstanceCreditSpecifications"]
    assert said == {"InstanceId": known, "CpuCredits": expected}


def test_only_burstable_types_have_credits(ec2, image):
    known = launch(ec2, image, InstanceType="m5.large")

    answer = ec2.describe_instance_credit_specifications(InstanceIds=[known])
    assert answer["InstanceCreditSpecifications"] == []


def test_an_image_of_another_account_is_not_there(house, ec2, stranger, launched):
    mine = ec2.create_image(InstanceId=launched, Name="mine")["ImageId"]
    house.settle()

    assert refusal(run, ec2=stranger, image=mine) == "InvalidAMIID.NotFound"


def test_groups_subnets_and_keys_of_another_account_are_not_there(ec2, stranger, image):
    group = ec2.create_security_group(GroupName="mine", Description="d")["GroupId"]
    ec2.create_key_pair(KeyName="mine")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]

    assert refusal(run, ec2=stranger, image=image, SecurityGroupIds=[group]) == "InvalidGroup.NotFound"
    assert refusal(run, ec2=stranger, image=image, SecurityGroups=["mine"]) == "InvalidGroup.NotFound"
    assert refusal(run, ec2=stranger, image=image, KeyName="mine") == "InvalidKeyPair.NotFound"
    assert refusal(run, ec2=stranger, image=image, SubnetId=subnet) == "InvalidSubnetID.NotFound"
    assert not list(instances(stranger))


def test_an_image_that_is_not_ready_cannot_be_launched(ec2, launched):
    pending = ec2.create_image(InstanceId=launched, Name="young")["ImageId"]

    assert refusal(run, ec2=ec2, image=pending) == "InvalidAMIID.Unavailable"
