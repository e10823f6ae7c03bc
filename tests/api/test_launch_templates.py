"""Launch templates: numbered versions that never change, and what is launched from them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from asking import attribute, disks, instance, refusal, tagged, tags, where

SMALL = {"InstanceType": "t3.micro"}
NOBODYS = "lt-0123456789abcdef0"


def make(ec2, name="web", **data):
    """The id of a new template."""
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data or SMALL)
    return made["LaunchTemplate"]["LaunchTemplateId"]


def add(ec2, known, **data):
    made = ec2.create_launch_template_version(LaunchTemplateId=known, LaunchTemplateData=data or SMALL)
    return made["LaunchTemplateVersion"]["VersionNumber"]


def template(ec2, known):
    [found] = ec2.describe_launch_templates(LaunchTemplateIds=[known])["LaunchTemplates"]
    return found


def numbers(ec2, **asked):
    found = ec2.describe_launch_template_versions(**asked)["LaunchTemplateVersions"]
    return [one["VersionNumber"] for one in found]


def run(ec2, known, count=1, **asked):
    """The ids of instances launched from a template."""
    spec = {"LaunchTemplateId": known} if isinstance(known, str) else known
    made = ec2.run_instances(LaunchTemplate=spec, MinCount=count, MaxCount=count, **asked)["Instances"]
    return [one["InstanceId"] for one in made]


def tags_of(ec2, known):
    return {tag["Key"]: tag["Value"] for tag in instance(ec2, known).get("Tags", [])}


def test_a_template_has_a_first_version_that_is_the_default(house, ec2):
    made = ec2.create_launch_template(
        LaunchTemplateName="web",
        VersionDescription="the first",
        LaunchTemplateData=SMALL,
        TagSpecifications=tagged("launch-template", team="a"),
    )["LaunchTemplate"]

    assert made["LaunchTemplateId"].startswith("lt-")
    assert (made["DefaultVersionNumber"], made["LatestVersionNumber"]) == (1, 1)
    assert made["Tags"] == tags(team="a")
    assert template(ec2, made["LaunchTemplateId"]) == made
    [version] = ec2.describe_launch_template_versions(LaunchTemplateName="web")["LaunchTemplateVersions"]
    assert version["VersionDescription"] == "the first"
    assert (version["VersionNumber"], version["DefaultVersion"]) == (1, True)
    assert version["LaunchTemplateData"] == SMALL
    assert version["CreatedBy"] == f"arn:aws:iam::{house.account[0]}:root"


def test_all_that_is_said_comes_back(ec2, image):
    said = {
        "ImageId": image,
        "InstanceType": "t3.micro",
        "EbsOptimized": True,
        "UserData": "IyEvYmluL3No",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3, "DeleteOnTermination": False}}],
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-0123456789abcdef0"]}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "Monitoring": {"Enabled": True},
        "TagSpecifications": tagged("instance", a="b"),
        "InstanceMarketOptions": {
            "MarketType": "spot",
            "SpotOptions": {"ValidUntil": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)},
        },
    }

    known = make(ec2, **said)

    [version] = ec2.describe_launch_template_versions(LaunchTemplateId=known)["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"] == said


def test_versions_are_counted_and_never_used_again(ec2):
    known = make(ec2)
    assert [add(ec2, known), add(ec2, known)] == [2, 3]

    ec2.delete_launch_template_versions(LaunchTemplateId=known, Versions=["3"])

    assert template(ec2, known)["LatestVersionNumber"] == 2
    assert add(ec2, known) == 4


def test_versions_made_at_once_have_numbers_of_their_own(ec2):
    known = make(ec2)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: add(ec2, known), range(8)))

    assert sorted(made) == list(range(2, 10))


def test_a_version_takes_over_what_it_does_not_say(ec2, image):
    disk = {"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": "snap-0123456789abcdef0", "VolumeSize": 9}}
    known = make(ec2, ImageId=image, InstanceType="t3.micro", BlockDeviceMappings=[disk])

    made = ec2.create_launch_template_version(
        LaunchTemplateId=known, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.small"}
    )["LaunchTemplateVersion"]

    assert made["LaunchTemplateData"] == {
        "ImageId": image,
        "InstanceType": "t3.small",
        "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 9}}],
    }
    add(ec2, known, InstanceType="t3.nano")
    [latest] = ec2.describe_launch_template_versions(LaunchTemplateId=known, Versions=["$Latest"])[
        "LaunchTemplateVersions"
    ]
    assert latest["LaunchTemplateData"] == {"InstanceType": "t3.nano"}


def test_versions_are_found_by_number_by_word_and_by_range(ec2):
    known = make(ec2)
    for _ in range(3):
        add(ec2, known)
    ec2.modify_launch_template(LaunchTemplateId=known, DefaultVersion="2")
    of = {"LaunchTemplateId": known}

    assert numbers(ec2, **of) == [4, 3, 2, 1]
    assert numbers(ec2, **of, Versions=["1", "3"]) == [3, 1]
    assert numbers(ec2, **of, Versions=["$Latest"]) == [4]
    assert numbers(ec2, **of, Versions=["$Default", "2"]) == [2]
    assert numbers(ec2, **of, MinVersion="2", MaxVersion="3") == [3, 2]
    assert numbers(ec2, **of, MinVersion="3") == [4, 3]
    assert numbers(ec2, **of, Filters=where(is_default_version="true")) == [2]
    assert numbers(ec2, LaunchTemplateName="web", Versions=["4"]) == [4]


def test_pages_of_versions_are_the_whole(ec2):
    known = make(ec2)
    for _ in range(11):
        add(ec2, known)

    pages = ec2.get_paginator("describe_launch_template_versions").paginate(
        LaunchTemplateId=known, PaginationConfig={"PageSize": 5}
    )

    found = [[one["VersionNumber"] for one in page["LaunchTemplateVersions"]] for page in pages]
    assert found == [[12, 11, 10, 9, 8], [7, 6, 5, 4, 3], [2, 1]]


def test_the_latest_and_default_of_all_templates_can_be_asked_for(ec2):
    one, other = make(ec2, "one"), make(ec2, "other")
    add(ec2, other)

    found = ec2.describe_launch_template_versions(Versions=["$Latest", "$Default"])["LaunchTemplateVersions"]

    assert {(each["LaunchTemplateId"], each["VersionNumber"]) for each in found} == {(one, 1), (other, 1), (other, 2)}


def test_templates_are_found_by_name_id_and_tag(ec2):
    one, other = make(ec2, "one"), make(ec2, "other")
    ec2.create_tags(Resources=[one], Tags=tags(team="a"))

    def found(**asked):
        return [each["LaunchTemplateId"] for each in ec2.describe_launch_templates(**asked)["LaunchTemplates"]]

    assert found() == sorted([one, other])
    assert found(LaunchTemplateNames=["other"]) == [other]
    assert found(Filters=where(launch_template_name="on*")) == [one]
    assert found(Filters=[{"Name": "tag:team", "Values": ["a"]}]) == [one]


def test_the_default_is_what_it_is_set_to(ec2):
    known = make(ec2)
    add(ec2, known)

    changed = ec2.modify_launch_template(LaunchTemplateName="web", DefaultVersion="$Latest")["LaunchTemplate"]

    assert changed["DefaultVersionNumber"] == 2
    assert template(ec2, known) == changed


def test_each_version_is_deleted_by_itself(ec2):
    known = make(ec2)
    add(ec2, known)

    answer = ec2.delete_launch_template_versions(LaunchTemplateId=known, Versions=["1", "2", "7"])

    assert [one["VersionNumber"] for one in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [2]
    refused = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert {one["VersionNumber"]: one["ResponseError"]["Code"] for one in refused} == {
        1: "unexpectedError",
        7: "launchTemplateVersionDoesNotExist",
    }
    assert numbers(ec2, LaunchTemplateId=known) == [1]


def test_a_deleted_template_is_gone_and_its_name_is_free(house, ec2):
    known = make(ec2)
    add(ec2, known)

    gone = ec2.delete_launch_template(LaunchTemplateName="web")["LaunchTemplate"]

    assert gone["LaunchTemplateId"] == known
    assert refusal(ec2.describe_launch_templates, LaunchTemplateIds=[known]) == "InvalidLaunchTemplateId.NotFound"
    assert not house.store.view(house.account[0]).records
    assert make(ec2) != known


@pytest.mark.parametrize(
    ("action", "asked", "code"),
    [
        ("create_launch_template", {"LaunchTemplateName": "web"}, "InvalidLaunchTemplateName.AlreadyExistsException"),
        ("create_launch_template", {"LaunchTemplateName": "no"}, "InvalidLaunchTemplateName.MalformedException"),
        ("create_launch_template", {"LaunchTemplateName": "a b c"}, "InvalidLaunchTemplateName.MalformedException"),
        ("create_launch_template_version", {}, "MissingParameter"),
        ("create_launch_template_version", {"LaunchTemplateId": NOBODYS}, "InvalidLaunchTemplateId.NotFound"),
        (
            "create_launch_template_version",
            {"LaunchTemplateName": "web", "SourceVersion": "9"},
            "InvalidLaunchTemplateId.VersionNotFound",
        ),
    ],
)
def test_what_aws_refuses_of_a_new_one_is_refused(ec2, action, asked, code):
    make(ec2)

    assert refusal(getattr(ec2, action), LaunchTemplateData=SMALL, **asked) == code


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({}, "MissingParameter"),
        ({"ImageId": "ami-zebra"}, "InvalidAMIID.Malformed"),
        ({"TagSpecifications": tagged("vpc", a="b")}, "InvalidParameterValue"),
        ({"TagSpecifications": tagged("instance", **{"aws:a": "b"})}, "InvalidParameterValue"),
    ],
)
def test_data_that_no_launch_could_have_is_refused(ec2, data, code):
    assert refusal(ec2.create_launch_template, LaunchTemplateName="web", LaunchTemplateData=data) == code


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"Versions": ["1"]}, "InvalidParameterCombination"),
        ({"LaunchTemplateName": "nobody's"}, "InvalidLaunchTemplateName.NotFoundException"),
        ({"LaunchTemplateId": NOBODYS}, "InvalidLaunchTemplateId.NotFound"),
        ({"LaunchTemplateId": "lt-zebra"}, "InvalidLaunchTemplateId.Malformed"),
        ({"LaunchTemplateId": NOBODYS, "LaunchTemplateName": "web"}, "InvalidParameterCombination"),
        ({"LaunchTemplateName": "web", "Versions": ["2"]}, "InvalidLaunchTemplateId.VersionNotFound"),
        ({"LaunchTemplateName": "web", "Versions": ["newest"]}, "InvalidParameterValue"),
        ({"LaunchTemplateName": "web", "Versions": ["1"], "MinVersion": "1"}, "InvalidParameterCombination"),
    ],
)
def test_versions_that_are_not_there_are_refused(ec2, asked, code):
    make(ec2)

    assert refusal(ec2.describe_launch_template_versions, **asked) == code


def test_the_same_token_makes_one_template(ec2):
    asked = {"LaunchTemplateName": "web", "LaunchTemplateData": SMALL, "ClientToken": "t"}

    first, again = ec2.create_launch_template(**asked), ec2.create_launch_template(**asked)

    assert first["LaunchTemplate"] == again["LaunchTemplate"]


def test_anothers_template_is_not_there(ec2, stranger):
    known = make(ec2)

    assert refusal(stranger.delete_launch_template, LaunchTemplateId=known) == "InvalidLaunchTemplateId.NotFound"
    assert make(stranger)
    asked = {"LaunchTemplate": {"LaunchTemplateId": known}, "MinCount": 1, "MaxCount": 1}
    assert refusal(stranger.run_instances, **asked) == "InvalidLaunchTemplateId.NotFound"


def test_an_instance_is_what_the_template_says(house, ec2, image):
    key = ec2.create_key_pair(KeyName="k")["KeyName"]
    known = make(
        ec2,
        ImageId=image,
        InstanceType="t3.small",
        KeyName=key,
        UserData="IyEvYmluL3No",
        DisableApiTermination=True,
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}}],
        MetadataOptions={"HttpTokens": "required"},
        Placement={"AvailabilityZone": "us-east-1b"},
        TagSpecifications=[*tagged("instance", Name="web"), *tagged("volume", of="web")],
    )

    [launched] = run(ec2, known)

    house.settle()
    made = instance(ec2, launched)
    assert (made["ImageId"], made["InstanceType"], made["KeyName"]) == (image, "t3.small", "k")
    assert made["Placement"]["AvailabilityZone"] == "us-east-1b"
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert attribute(ec2, launched, "userData") == {"Value": "IyEvYmluL3No"}
    assert attribute(ec2, launched, "disableApiTermination") == {"Value": True}
    held = disks(ec2, launched)
    assert held["/dev/sdf"]["Size"] == 3
    assert all(one["Tags"] == tags(of="web") for one in held.values())
    assert tags_of(ec2, launched) == {
        "Name": "web",
        "aws:ec2launchtemplate:id": known,
        "aws:ec2launchtemplate:version": "1",
    }


def test_what_the_request_says_goes_over_what_the_template_says(ec2, image):
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    known = make(
        ec2,
        ImageId=image,
        InstanceType="t3.small",
        SecurityGroups=["default"],
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 3},
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4}},
        ],
        TagSpecifications=tagged("instance", a="template", b="template"),
    )

    [launched] = run(
        ec2,
        known,
        InstanceType="t3.micro",
        SecurityGroupIds=[group],
        MetadataOptions={"HttpPutResponseHopLimit": 5},
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7}}],
        TagSpecifications=tagged("instance", b="request"),
    )

    made = instance(ec2, launched)
    assert made["InstanceType"] == "t3.micro"
    assert [one["GroupId"] for one in made["SecurityGroups"]] == [group]
    options = made["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 5)
    held = disks(ec2, launched)
    assert (held["/dev/sdf"]["Size"], held["/dev/sdf"]["VolumeType"], held["/dev/sdg"]["Size"]) == (7, "gp3", 4)
    said = tags_of(ec2, launched)
    assert (said["a"], said["b"]) == ("template", "request")


def test_a_launch_takes_the_version_it_names_and_else_the_default(ec2, image):
    known = make(ec2, ImageId=image, InstanceType="t3.micro")
    add(ec2, known, ImageId=image, InstanceType="t3.small")

    def type_of(**spec):
        [launched] = run(ec2, {"LaunchTemplateName": "web", **spec})
        return instance(ec2, launched)["InstanceType"], tags_of(ec2, launched)["aws:ec2launchtemplate:version"]

    assert type_of() == ("t3.micro", "1")
    assert type_of(Version="$Latest") == ("t3.small", "2")
    assert type_of(Version="2") == ("t3.small", "2")
    ec2.modify_launch_template(LaunchTemplateId=known, DefaultVersion="2")
    assert type_of(Version="$Default") == ("t3.small", "2")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"InstanceType": "t3.micro"}, "MissingParameter"),
        ({"IamInstanceProfile": {"Name": "no name"}}, "InvalidParameterValue"),
        ({"HibernationOptions": {"Configured": True}}, "UnsupportedOperation"),
        ({"KeyName": "nobody's"}, "InvalidKeyPair.NotFound"),
        (
            {"InstanceRequirements": {"VCpuCount": {"Min": 1}, "MemoryMiB": {"Min": 512}}},
            "UnsupportedOperation",
        ),
    ],
)
def test_a_template_is_refused_where_its_parameters_would_be(ec2, image, data, code):
    wanted = data if "InstanceType" in data else {"ImageId": image, **data}
    known = make(ec2, **wanted)

    asked = {"LaunchTemplate": {"LaunchTemplateId": known}, "MinCount": 1, "MaxCount": 1}
    assert refusal(ec2.run_instances, **asked) == code


def test_the_tags_that_name_the_template_stay(ec2, image):
    known = make(ec2, ImageId=image, InstanceType="t3.micro")
    [launched] = run(ec2, known)

    ec2.create_tags(Resources=[launched], Tags=tags(**{f"k{number}": "v" for number in range(50)}))
    ec2.delete_tags(Resources=[launched])

    assert tags_of(ec2, launched) == {"aws:ec2launchtemplate:id": known, "aws:ec2launchtemplate:version": "1"}


def test_a_token_has_at_most_128_characters(ec2, image):
    asked = {"LaunchTemplateName": "long", "LaunchTemplateData": {"ImageId": image}}

    made = ec2.create_launch_template(**asked, ClientToken="t" * 128)["LaunchTemplate"]
    assert ec2.create_launch_template(**asked, ClientToken="t" * 128)["LaunchTemplate"] == made
    assert refusal(ec2.create_launch_template, **asked, ClientToken="t" * 129) == "InvalidParameterValue"
