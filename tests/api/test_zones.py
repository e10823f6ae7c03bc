"""Regions and zones."""

from __future__ import annotations

from asking import instance, instances, refusal, where


def zones(ec2, **asked):
    return [one["ZoneName"] for one in ec2.describe_availability_zones(**asked)["AvailabilityZones"]]


def test_there_is_one_region_and_it_is_here(ec2):
    [found] = ec2.describe_regions(AllRegions=True)["Regions"]

    assert (found["RegionName"], found["OptInStatus"]) == ("us-east-1", "opt-in-not-required")
    assert found["Endpoint"] == "127.0.0.1:8788"
    assert ec2.describe_regions(RegionNames=["us-east-1"])["Regions"] == [found]
    assert ec2.describe_regions(Filters=where(region_name="us-*"))["Regions"] == [found]
    assert ec2.describe_regions(Filters=where(region_name="eu-*"))["Regions"] == []
    assert refusal(ec2.describe_regions, RegionNames=["eu-west-1"]) == "InvalidParameterValue"


def test_zones_have_names_and_ids(ec2):
    found = ec2.describe_availability_zones(AllAvailabilityZones=True)["AvailabilityZones"]

    assert [(one["ZoneName"], one["ZoneId"]) for one in found] == [
        ("us-east-1a", "use1-az1"),
        ("us-east-1b", "use1-az2"),
    ]
    assert {(one["State"], one["RegionName"], one["ZoneType"]) for one in found} == {
        ("available", "us-east-1", "availability-zone")
    }


def test_zones_are_found_by_what_they_are(ec2):
    assert zones(ec2, ZoneNames=["us-east-1b"]) == ["us-east-1b"]
    assert zones(ec2, ZoneIds=["use1-az2"]) == ["us-east-1b"]
    assert zones(ec2, Filters=where(zone_name="us-east-1b")) == ["us-east-1b"]
    assert zones(ec2, Filters=where(zone_id="use1-az1")) == ["us-east-1a"]
    assert zones(ec2, Filters=where(state="available", region_name="us-east-1")) == ["us-east-1a", "us-east-1b"]
    assert zones(ec2, Filters=where(opt_in_status="opt-in-not-required")) == ["us-east-1a", "us-east-1b"]
    assert zones(ec2, Filters=where(state="impaired")) == []
    assert refusal(ec2.describe_availability_zones, ZoneNames=["us-east-1z"]) == "InvalidParameterValue"
    assert refusal(ec2.describe_availability_zones, ZoneIds=["use1-az9"]) == "InvalidParameterValue"


def test_things_are_made_in_the_zone_that_was_asked_for(house, ec2, image):
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1}
    for zone in ("us-east-1a", "us-east-1b"):
        made = ec2.run_instances(**asked, Placement={"AvailabilityZone": zone})["Instances"][0]["InstanceId"]
        volume = ec2.create_volume(Size=1, AvailabilityZone=zone)["VolumeId"]
        house.settle()
        held = instance(ec2, made)
        [subnet] = ec2.describe_subnets(SubnetIds=[held["SubnetId"]])["Subnets"]
        assert held["Placement"]["AvailabilityZone"] == subnet["AvailabilityZone"] == zone
        root = held["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        for known in (volume, root):
            assert ec2.describe_volumes(VolumeIds=[known])["Volumes"][0]["AvailabilityZone"] == zone
        ec2.attach_volume(VolumeId=volume, InstanceId=made, Device="/dev/sdf")
    by_id = list(instances(ec2, Filters=where(availability_zone_id="use1-az2")))
    assert [one["Placement"]["AvailabilityZone"] for one in by_id] == ["us-east-1b"]
