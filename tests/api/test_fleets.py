"""EC2 Fleets: launched at once, from several pools, and ended together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import instance, instances, machine_image, refusal, state, tagged, tags, where
from fleeting import LONG_AGO, config, create, ids, told, types, web


@pytest.fixture
def house(build):
    """What is gone is shown for two minutes."""
    return build(terminated_visible=timedelta(minutes=2))


@pytest.fixture
def template(ec2, image):
    return web(ec2, image, TagSpecifications=tagged("instance", made="by template"))


def launched(answer):
    """What each pool gave: the type, the zone and how many."""
    return [(one["InstanceType"], one["AvailabilityZone"], len(one["InstanceIds"])) for one in answer["Instances"]]


def test_an_instant_fleet_answers_with_its_instances(house, ec2, template):
    answer = create(ec2, template, total=2, TagSpecifications=tagged("fleet", a="b"))

    [one] = answer["Instances"]
    assert answer["FleetId"].startswith("fleet-")
    assert answer["Errors"] == []
    assert launched(answer) == [("t3.micro", "us-east-1a", 2)]
    assert one["Lifecycle"] == "on-demand"
    assert one["SubnetId"] == instance(ec2, one["InstanceIds"][0])["SubnetId"]
    spec = one["LaunchTemplateAndOverrides"]["LaunchTemplateSpecification"]
    assert (spec["LaunchTemplateId"], spec["Version"]) == (template, "$Latest")
    house.settle()
    assert [state(ec2, known) for known in one["InstanceIds"]] == ["running", "running"]


def test_a_fleet_is_described_with_what_was_asked_and_what_it_has(ec2, template):
    known = create(ec2, template, *types("t3.small"), total=2, TagSpecifications=tagged("fleet", a="b"))["FleetId"]

    found = told(ec2, known)
    assert (found["FleetState"], found["ActivityStatus"], found["Type"]) == ("active", "fulfilled", "instant")
    assert (found["FulfilledCapacity"], found["FulfilledOnDemandCapacity"]) == (2.0, 2.0)
    assert found["TargetCapacitySpecification"] == {
        "TotalTargetCapacity": 2,
        "OnDemandTargetCapacity": 2,
        "SpotTargetCapacity": 0,
        "DefaultTargetCapacityType": "on-demand",
    }
    assert found["Tags"] == tags(a="b")
    assert found["LaunchTemplateConfigs"] == [config(template, *types("t3.small"))]
    assert [one["InstanceType"] for one in found["Instances"]] == ["t3.small"]


def test_instances_carry_their_fleet_and_the_tags_of_request_and_template(ec2, template):
    answer = create(ec2, template, TagSpecifications=[*tagged("instance", asked="too"), *tagged("volume", of="it")])

    one = instance(ec2, *ids(answer))
    assert {tag["Key"]: tag["Value"] for tag in one["Tags"]} == {
        "made": "by template",
        "asked": "too",
        "aws:ec2:fleet-id": answer["FleetId"],
        "aws:ec2launchtemplate:id": template,
        "aws:ec2launchtemplate:version": "1",
    }
    [disk] = one["BlockDeviceMappings"]
    assert ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"][0]["Tags"] == tags(of="it")


def test_an_override_is_laid_over_its_template(ec2, template):
    ec2.create_key_pair(KeyName="mine")
    zone = {"AvailabilityZone": "us-east-1b"}
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}}]
    over = {**types("t3.small")[0], **zone, "KeyName": "mine", "BlockDeviceMappings": disks}
    answer = create(ec2, template, {**over, "MetadataOptions": {"HttpTokens": "required"}})

    one = instance(ec2, *ids(answer))
    assert (one["InstanceType"], one["Placement"]["AvailabilityZone"]) == ("t3.small", "us-east-1b")
    assert (one["KeyName"], one["MetadataOptions"]["HttpTokens"]) == ("mine", "required")
    assert {disk["DeviceName"] for disk in one["BlockDeviceMappings"]} == {"/dev/sda1", "/dev/sdf"}


def test_a_subnet_is_that_of_the_templates_interface_too(ec2, image):
    wired = web(ec2, image, NetworkInterfaces=[{"DeviceIndex": 0}])
    subnets = ec2.describe_subnets(Filters=where(availability_zone="us-east-1b"))["Subnets"]
    answer = create(ec2, wired, {"SubnetId": subnets[0]["SubnetId"]})

    assert instance(ec2, *ids(answer))["SubnetId"] == subnets[0]["SubnetId"] == answer["Instances"][0]["SubnetId"]


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        ({"DefaultTargetCapacityType": "spot"}, {"spot": 4}),
        ({"DefaultTargetCapacityType": "spot", "OnDemandTargetCapacity": 1}, {"on-demand": 1, "spot": 3}),
        ({"SpotTargetCapacity": 1}, {"on-demand": 3, "spot": 1}),
        ({"DefaultTargetCapacityType": "on-demand", "OnDemandTargetCapacity": 1}, {"on-demand": 4}),
    ],
)
def test_the_capacity_is_shared_between_spot_and_on_demand(ec2, template, capacity, expected):
    answer = create(ec2, template, total=4, capacity=capacity)

    assert {one["Lifecycle"]: len(one["InstanceIds"]) for one in answer["Instances"]} == expected
    found = told(ec2, answer["FleetId"])
    assert (found["FulfilledCapacity"], found["FulfilledOnDemandCapacity"]) == (4.0, expected.get("on-demand", 0))
    spots = [one for one in instances(ec2) if one.get("InstanceLifecycle") == "spot"]
    assert len(spots) == len(ec2.describe_spot_instance_requests()["SpotInstanceRequests"]) == expected.get("spot", 0)


def test_a_spot_instance_has_the_price_of_its_override(ec2, template):
    answer = create(ec2, template, {"MaxPrice": "0.3"}, capacity={"DefaultTargetCapacityType": "spot"})

    [asked] = ec2.describe_spot_instance_requests(Filters=where(instance_id=ids(answer)))["SpotInstanceRequests"]
    assert (asked["SpotPrice"], asked["Type"]) == ("0.300000", "one-time")


def test_a_template_may_be_for_spot_instances_as_packers_is(ec2, image):
    market = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.2"}}
    said = {"IamInstanceProfile": {"Name": ""}, "Placement": {"AvailabilityZone": "us-east-1b"}}
    port = {"DeviceIndex": 0, "DeleteOnTermination": True, "AssociatePublicIpAddress": True}
    bare = web(ec2, image, **said, InstanceMarketOptions=market, NetworkInterfaces=[port])
    answer = create(ec2, bare, *types("t3.small", "t3.micro"), capacity={"DefaultTargetCapacityType": "spot"})

    assert launched(answer) == [("t3.small", "us-east-1b", 1)]
    [asked] = ec2.describe_spot_instance_requests(Filters=where(instance_id=ids(answer)))["SpotInstanceRequests"]
    assert asked["SpotPrice"] == "0.200000"
    assert refusal(create, ec2=ec2, template=bare) == "InvalidParameterCombination"


def test_pools_are_tried_in_the_order_of_the_request(ec2, template):
    assert launched(create(ec2, template, *types("t3.large", "t3.micro"))) == [("t3.large", "us-east-1a", 1)]


@pytest.mark.parametrize(
    ("options", "capacity"),
    [
        ({"OnDemandOptions": {"AllocationStrategy": "prioritized"}}, {}),
        (
            {"SpotOptions": {"AllocationStrategy": "capacity-optimized-prioritized"}},
            {"DefaultTargetCapacityType": "spot"},
        ),
    ],
)
def test_pools_are_tried_by_their_priorities(ec2, template, options, capacity):
    over = [
        {"InstanceType": "t3.large"},
        {"InstanceType": "t3.small", "Priority": 2.0},
        {"InstanceType": "t3.micro", "Priority": 1.0},
    ]

    assert launched(create(ec2, template, *over, capacity=capacity, **options)) == [("t3.micro", "us-east-1a", 1)]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({"AllocationStrategy": "diversified"}, {"t3.micro": 2, "t3.small": 2, "t3.large": 1}),
        ({"AllocationStrategy": "lowest-price", "InstancePoolsToUseCount": 2}, {"t3.micro": 3, "t3.small": 2}),
        ({"AllocationStrategy": "price-capacity-optimized"}, {"t3.micro": 5}),
    ],
)
def test_spot_instances_are_spread_as_the_strategy_says(ec2, template, strategy, expected):
    over = [{**one, "AvailabilityZone": "us-east-1a"} for one in types("t3.micro", "t3.small", "t3.large")]
    answer = create(ec2, template, *over, total=5, capacity={"DefaultTargetCapacityType": "spot"}, SpotOptions=strategy)

    assert {one["InstanceType"]: len(one["InstanceIds"]) for one in answer["Instances"]} == expected


def test_weights_count_and_round_up(ec2, template):
    over = {"InstanceType": "t3.large", "WeightedCapacity": 4.0}
    answer = create(ec2, template, over, total=10)

    assert launched(answer) == [("t3.large", "us-east-1a", 3)]
    assert told(ec2, answer["FleetId"])["FulfilledCapacity"] == 12.0


def test_requirements_choose_the_smallest_type_that_meets_them(ec2, template):
    needs = {"VCpuCount": {"Min": 2}, "MemoryMiB": {"Min": 4096}, "BurstablePerformance": "included"}
    answer = create(ec2, template, {"InstanceRequirements": needs})

    [(chosen, _, _)] = launched(answer)
    offered = {one["InstanceType"]: one for one in ec2.describe_instance_types()["InstanceTypes"]}
    assert offered[chosen]["VCpuInfo"]["DefaultVCpus"] >= 2
    assert offered[chosen]["MemoryInfo"]["SizeInMiB"] >= 4096
    over = answer["Instances"][0]["LaunchTemplateAndOverrides"]["Overrides"]
    assert (over["InstanceType"], over["InstanceRequirements"]["MemoryMiB"]) == (chosen, {"Min": 4096})


def test_capacity_can_be_asked_for_in_processors(ec2, template):
    needs = {"VCpuCount": {"Min": 2, "Max": 2}, "MemoryMiB": {"Min": 0}, "BurstablePerformance": "included"}
    capacity = {"TargetCapacityUnitType": "vcpu"}
    answer = create(ec2, template, {"InstanceRequirements": needs}, total=7, capacity=capacity)

    assert len(ids(answer)) == 4
    assert told(ec2, answer["FleetId"])["FulfilledCapacity"] == 8.0


def test_what_one_pool_cannot_give_the_next_one_gives(build):
    house = build(instances=3)
    ec2 = house.client()
    template = web(ec2, machine_image(ec2))
    answer = create(ec2, template, *types("x9.huge", "t3.micro"), total=2)

    assert launched(answer) == [("t3.micro", "us-east-1a", 2)]
    [error] = answer["Errors"]
    assert (error["ErrorCode"], error["Lifecycle"]) == ("InvalidFleetConfiguration", "on-demand")
    over = error["LaunchTemplateAndOverrides"]["Overrides"]
    assert (over["InstanceType"], over["AvailabilityZone"]) == ("x9.huge", "us-east-1a")
    short = create(ec2, template, *types("t3.micro"), total=4)
    assert len(ids(short)) == 1
    assert {one["ErrorCode"] for one in short["Errors"]} == {"InstanceLimitExceeded"}
    none = create(ec2, template, *types("t3.micro"))
    assert (none["Instances"], len(none["Errors"])) == ([], 2)
    assert len(list(instances(ec2))) == 3
    assert told(ec2, none["FleetId"])["Errors"] == none["Errors"]


def test_one_type_alone_is_launched_where_that_is_asked(ec2, template):
    options = {"SingleInstanceType": True, "MinTargetCapacity": 2}
    answer = create(ec2, template, *types("x9.huge", "t3.small"), total=2, OnDemandOptions=options)

    assert launched(answer) == [("t3.small", "us-east-1a", 2)]


def test_below_the_minimum_nothing_is_launched(build):
    house = build(instances=3)
    ec2 = house.client()
    template = web(ec2, machine_image(ec2))
    options = {"SingleAvailabilityZone": True, "MinTargetCapacity": 4}
    over = types("t3.micro", "t3.small")
    answer = create(ec2, template, *over, total=5, OnDemandOptions=options)

    assert answer["Instances"] == []
    assert "UnfulfillableCapacity" in {one["ErrorCode"] for one in answer["Errors"]}
    house.settle()
    assert list(instances(ec2)) == []
    assert ec2.describe_volumes()["Volumes"] == []
    assert told(ec2, answer["FleetId"])["FulfilledCapacity"] == 0
    house.mend()
    assert list(instances(ec2)) == []


def test_a_request_fleet_is_answered_with_its_id_and_fulfilled_at_once(house, ec2, template):
    answer = create(ec2, template, total=2, kind="request")

    assert {"FleetId", "ResponseMetadata"} == set(answer)
    known = answer["FleetId"]
    assert [one["FleetId"] for one in ec2.describe_fleets()["Fleets"]] == [known]
    found = told(ec2, known)
    assert (found["FleetState"], found["ActivityStatus"], found["FulfilledCapacity"]) == ("active", "fulfilled", 2.0)
    assert "Instances" not in found
    members = ec2.describe_fleet_instances(FleetId=known)
    assert members["FleetId"] == known
    assert {one["InstanceId"] for one in members["ActiveInstances"]} == {one["InstanceId"] for one in instances(ec2)}
    assert {(one["InstanceType"], one["InstanceHealth"]) for one in members["ActiveInstances"]} == {
        ("t3.micro", "healthy")
    }


def test_the_instances_of_a_fleet_come_in_pages(ec2, template):
    known = create(ec2, template, total=3, kind="request")["FleetId"]

    first = ec2.describe_fleet_instances(FleetId=known, MaxResults=2)
    rest = ec2.describe_fleet_instances(FleetId=known, MaxResults=2, NextToken=first["NextToken"])
    found = [one["InstanceId"] for page in (first, rest) for one in page["ActiveInstances"]]
    assert sorted(found) == sorted(one["InstanceId"] for one in instances(ec2))
    some = ec2.describe_fleet_instances(FleetId=known, Filters=where(instance_type="t3.large"))
    assert some["ActiveInstances"] == []


def test_a_request_fleet_that_falls_short_says_so(ec2, template):
    known = create(ec2, template, *types("x9.huge"), kind="request")["FleetId"]

    assert told(ec2, known)["ActivityStatus"] == "error"
    history = ec2.describe_fleet_history(FleetId=known, StartTime=LONG_AGO, EventType="service-error")
    assert "x9.huge" in history["HistoryRecords"][0]["EventInformation"]["EventDescription"]


def test_the_history_tells_what_happened_in_its_order(house, ec2, template):
    known = create(ec2, template, kind="request")["FleetId"]
    [one] = instances(ec2)
    house.settle()
    ec2.delete_fleets(FleetIds=[known], TerminateInstances=True)
    house.settle()

    history = ec2.describe_fleet_history(FleetId=known, StartTime=LONG_AGO)
    words = [event["EventInformation"]["EventSubType"] for event in history["HistoryRecords"]]
    assert words[:3] == ["submitted", "launched", "active"]
    assert sorted(words[3:]) == ["deleted", "terminated"]
    assert history["HistoryRecords"][1]["EventInformation"]["InstanceId"] == one["InstanceId"]
    assert (history["FleetId"], history["StartTime"]) == (known, LONG_AGO)
    soon = house.clock() + timedelta(days=1)
    assert ec2.describe_fleet_history(FleetId=known, StartTime=soon)["HistoryRecords"] == []
    paged = ec2.describe_fleet_history(FleetId=known, StartTime=LONG_AGO, MaxResults=2)
    rest = ec2.describe_fleet_history(FleetId=known, StartTime=LONG_AGO, MaxResults=1000, NextToken=paged["NextToken"])
    assert paged["HistoryRecords"] + rest["HistoryRecords"] == history["HistoryRecords"]


def test_instant_fleets_are_listed_by_their_ids_alone(ec2, template):
    known = create(ec2, template)["FleetId"]

    assert ec2.describe_fleets()["Fleets"] == []
    assert told(ec2, known)["FleetId"] == known
    assert refusal(ec2.describe_fleet_instances, FleetId=known) == "UnsupportedOperation"


@pytest.mark.parametrize("kind", ["instant", "request"])
def test_a_deleted_fleet_takes_its_instances_along(house, ec2, template, kind):
    known = create(ec2, template, total=2, kind=kind)["FleetId"]
    house.settle()

    [done] = ec2.delete_fleets(FleetIds=[known], TerminateInstances=True)["SuccessfulFleetDeletions"]

    assert (done["FleetId"], done["PreviousFleetState"]) == (known, "active")
    assert done["CurrentFleetState"] == told(ec2, known)["FleetState"] == "deleted_terminating"
    assert told(ec2, known)["ActivityStatus"] == "pending_termination"
    house.settle()
    assert {one["State"]["Name"] for one in instances(ec2)} == {"terminated"}
    assert told(ec2, known)["FleetState"] == "deleted"
    house.settle(130)
    assert refusal(ec2.describe_fleets, FleetIds=[known]) == "InvalidFleetId.NotFound"


def test_instances_of_a_request_fleet_may_live_on(house, ec2, template):
    spot = {"DefaultTargetCapacityType": "spot"}
    known = create(ec2, template, kind="request", capacity=spot)["FleetId"]
    house.settle()
    [done] = ec2.delete_fleets(FleetIds=[known], TerminateInstances=False)["SuccessfulFleetDeletions"]

    assert done["CurrentFleetState"] == "deleted_running"
    assert [one["State"]["Name"] for one in instances(ec2)] == ["running"]
    assert [one["State"] for one in ec2.describe_spot_instance_requests()["SpotInstanceRequests"]] == ["cancelled"]
    listed = ec2.describe_fleets(Filters=where(fleet_state="deleted-running", type="request"))["Fleets"]
    assert [one["FleetId"] for one in listed] == [known]
    [again] = ec2.delete_fleets(FleetIds=[known], TerminateInstances=False)["UnsuccessfulFleetDeletions"]
    assert again["Error"]["Code"] == "fleetNotInDeletableState"
    [after] = ec2.delete_fleets(FleetIds=[known], TerminateInstances=True)["SuccessfulFleetDeletions"]
    assert (after["PreviousFleetState"], after["CurrentFleetState"]) == ("deleted_running", "deleted_terminating")


def test_fleets_are_deleted_each_by_itself(ec2, stranger, image, template):
    mine = create(ec2, template)["FleetId"]
    theirs = create(stranger, web(stranger, image))["FleetId"]
    never = "fleet-0123456789abcdef0"

    answer = ec2.delete_fleets(FleetIds=[never, theirs, mine], TerminateInstances=True)

    assert [one["FleetId"] for one in answer["SuccessfulFleetDeletions"]] == [mine]
    assert {one["FleetId"]: one["Error"]["Code"] for one in answer["UnsuccessfulFleetDeletions"]} == {
        never: "fleetIdDoesNotExist",
        theirs: "fleetIdDoesNotExist",
    }
    assert told(stranger, theirs)["FleetState"] == "active"


def test_instances_of_an_instant_fleet_do_not_outlive_it(ec2, template):
    known = create(ec2, template)["FleetId"]

    assert refusal(ec2.delete_fleets, FleetIds=[known], TerminateInstances=False) == "UnsupportedOperation"
    assert told(ec2, known)["FleetState"] == "active"


def test_a_fleet_with_a_protected_instance_is_not_deleted(ec2, template):
    answer = create(ec2, template)
    ec2.modify_instance_attribute(InstanceId=ids(answer)[0], DisableApiTermination={"Value": True})

    [error] = ec2.delete_fleets(FleetIds=[answer["FleetId"]], TerminateInstances=True)["UnsuccessfulFleetDeletions"]

    assert error["Error"]["Code"] == "unexpectedError"
    assert told(ec2, answer["FleetId"])["FleetState"] == "active"


def test_a_request_fleet_expires_and_its_instances_live_on(house, ec2, template):
    until = house.clock() + timedelta(minutes=1)
    known = create(ec2, template, kind="request", ValidUntil=until)["FleetId"]
    house.settle(130)

    assert told(ec2, known)["FleetState"] == "deleted_running"
    house.mend()
    assert told(ec2, known)["FleetState"] == "deleted_running"
    assert [one["State"]["Name"] for one in instances(ec2)] == ["running"]
    house.settle(130)
    house.mend()
    assert ec2.describe_fleets()["Fleets"] == []


def test_an_instant_fleet_is_forgotten_with_its_instances(house, ec2, template):
    answer = create(ec2, template)
    house.settle(130)
    house.mend()
    assert told(ec2, answer["FleetId"])["FulfilledCapacity"] == 1.0
    ec2.terminate_instances(InstanceIds=ids(answer))
    assert told(ec2, answer["FleetId"])["FulfilledCapacity"] == 0
    assert told(ec2, answer["FleetId"])["Instances"] == [
        {
            name: value
            for name, value in one.items()
            if name not in ("AvailabilityZone", "SubnetId", "AvailabilityZoneId")
        }
        for one in answer["Instances"]
    ]
    house.settle(130)
    house.mend()
    house.mend()

    assert refusal(ec2.describe_fleets, FleetIds=[answer["FleetId"]]) == "InvalidFleetId.NotFound"


def test_the_same_token_is_the_same_fleet(ec2, template):
    first, second = (create(ec2, template, total=2, ClientToken="token") for _ in range(2))

    assert (first["FleetId"], ids(first)) == (second["FleetId"], ids(second))
    assert len(list(instances(ec2))) == 2
    assert refusal(create, ec2=ec2, template=template, total=3, ClientToken="token") == "IdempotentParameterMismatch"
    assert told(ec2, first["FleetId"])["ClientToken"] == "token"


def test_filters_take_both_spellings_of_a_state(ec2, template):
    known = create(ec2, template, kind="request")["FleetId"]
    ec2.delete_fleets(FleetIds=[known], TerminateInstances=True)

    for said in ("deleted_terminating", "deleted-terminating"):
        assert [one["FleetId"] for one in ec2.describe_fleets(Filters=where(fleet_state=said))["Fleets"]] == [known]
    assert ec2.describe_fleets(Filters=where(activity_status="fulfilled"))["Fleets"] == []
    found = ec2.describe_fleets(Filters=where(excess_capacity_termination_policy="true"))["Fleets"]
    assert [one["FleetId"] for one in found] == [known]


def test_fleets_take_tags(ec2, template):
    known = create(ec2, template)["FleetId"]
    ec2.create_tags(Resources=[known], Tags=tags(a="b"))

    assert told(ec2, known)["Tags"] == tags(a="b")
    [tag] = ec2.describe_tags(Filters=where(resource_type="fleet"))["Tags"]
    assert (tag["ResourceId"], tag["Key"]) == (known, "a")
