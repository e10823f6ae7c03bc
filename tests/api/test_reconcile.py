"""After a crash at any moment, and whatever befell the cloud meanwhile, records and machines agree again."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from asking import disks, instance, instances, machine_image, refusal, state, tagged, tags, where
from botocore.exceptions import ClientError
from tampering import crash_at

from isthmus.aws.front import Front
from isthmus.core.reconcile import Reconciler
from isthmus.errors import Unavailable
from isthmus.providers import DiskSpec, ServerSpec

LAUNCH = {"InstanceType": "t3.micro", "MinCount": 2, "MaxCount": 2}
GOING = ("shutting-down", "terminated")
KINDS = ("volume", "snapshot", "image", "firewall", "address")


def session(house):
    return house.cloud.session(house.account[0])


def agree(house, ec2):
    """Every machine is listed and every listed one exists; so it is with their volumes; nothing is left open."""
    house.mend()
    machines = session(house).compute.list_servers()
    servers = {one.ref for one in machines if one.state.value != "deleting"}
    listed = {one["InstanceId"] for one in instances(ec2) if one["State"]["Name"] not in GOING}
    assert listed == servers
    volumes = {one.ref for one in session(house).volumes.list_volumes()}
    assert {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]} == volumes
    assert not house.store.unfinished("server")
    for kind in KINDS:
        assert not house.store.unfinished(kind)
    gone = {known for known, one in house.store.view(house.account[0]).records.items() if one.gone}
    records = house.store.view(house.account[0]).records
    assert {known for known, one in records.items() if one.kind == "server" and not one.gone} == {
        one.ref for one in machines
    } - gone
    assert {known for known, one in records.items() if one.kind == "volume"} <= volumes
    return listed


@pytest.mark.parametrize("token", ["mine", ""])
def test_a_launch_that_crashes_at_any_moment_leaves_nothing_unknown(build, token):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        asked = {
            **LAUNCH,
            "ImageId": machine_image(ec2),
            "ClientToken": token,
            "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}],
            "TagSpecifications": [*tagged("instance", a="b"), *tagged("volume", c="d")],
        }
        crashed = crash_at(house, moment, ec2.run_instances, **asked)
        known = agree(house, ec2)
        assert len(known) <= 2
        if token:
            made = {one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]}
            assert len(made) == 2
            assert agree(house, ec2) == made >= known
            house.settle()
            assert {state(ec2, one) for one in made} == {"running"}
            assert all(one["Tags"] == tags(a="b") for one in instances(ec2))
            assert all(sorted(disks(ec2, one)) == ["/dev/sda1", "/dev/sdf"] for one in made)
        moment += 1
        house.store.close()
    assert moment > 10


def fleet(template, **asked):
    """Of two pools, the first of which gives nothing."""
    overrides = [{"InstanceType": "x9.huge", "AvailabilityZone": "us-east-1a"}, {"InstanceType": "t3.micro"}]
    spec = {"LaunchTemplateId": template["LaunchTemplateId"], "Version": "1"}
    return {
        "Type": "instant",
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": spec, "Overrides": overrides}],
        "TargetCapacitySpecification": {"TotalTargetCapacity": 2, "SpotTargetCapacity": 1},
        **asked,
    }


@pytest.mark.parametrize("least", [0, 2])
def test_a_fleet_that_crashes_at_any_moment_is_launched_once(build, least):
    """With a minimum that cannot be reached, what was launched on the way to it is taken back whatever happens."""
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        data = {"ImageId": machine_image(ec2)}
        made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
        options = {"SingleInstanceType": True, "MinTargetCapacity": least} if least else {}
        asked = fleet(made, ClientToken="mine", OnDemandOptions=options)
        crashed = crash_at(house, moment, ec2.create_fleet, **asked)
        house.settle()
        assert len(agree(house, ec2)) <= 2
        answer = ec2.create_fleet(**asked)
        ids = {one for each in answer["Instances"] for one in each["InstanceIds"]}
        assert len(ids) == (1 if least else 2)
        house.settle()
        assert agree(house, ec2) == ids
        ec2.delete_fleets(FleetIds=[answer["FleetId"]], TerminateInstances=True)
        assert not agree(house, ec2)
        moment += 1
        house.store.close()
    assert moment > 10


def test_a_deletion_of_a_fleet_that_crashes_at_any_moment_is_ended(build):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        data = {"ImageId": machine_image(ec2)}
        made = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)["LaunchTemplate"]
        known = ec2.create_fleet(**fleet(made))["FleetId"]
        house.settle()
        crashed = crash_at(house, moment, ec2.delete_fleets, FleetIds=[known], TerminateInstances=True)
        [found] = ec2.describe_fleets(FleetIds=[known])["Fleets"]
        assert len(agree(house, ec2)) == (2 if found["FleetState"] == "active" else 0)
        moment += 1
        house.store.close()
    assert moment > 5


def test_a_copy_of_an_image_that_crashes_at_any_moment_is_made_once(build):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        source = {"SourceImageId": machine_image(ec2), "SourceRegion": "us-east-1"}
        asked = {**source, "Name": "copy", "ClientToken": "mine"}
        crashed = crash_at(house, moment, ec2.copy_image, **asked)
        made = ec2.copy_image(**asked)["ImageId"]
        assert [one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]] == [made]
        moment += 1
        house.store.close()
    assert moment > 3


def test_a_copy_of_a_volume_that_crashes_at_any_moment_is_made_once(build):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        source = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a")["VolumeId"]
        house.settle()
        asked = {"SourceVolumeId": source, "ClientToken": "mine", "TagSpecifications": tagged("volume", a="b")}
        crashed = crash_at(house, moment, ec2.copy_volumes, **asked)
        [made] = ec2.copy_volumes(**asked)["Volumes"]
        found = {one["VolumeId"]: one.get("Tags") for one in ec2.describe_volumes()["Volumes"]}
        assert found == {source: None, made["VolumeId"]: tags(a="b")}
        assert not ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        moment += 1
        house.store.close()
    assert moment > 3


def test_a_termination_that_crashes_at_any_moment_can_be_asked_for_again(build):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        made = ec2.run_instances(ImageId=machine_image(ec2), **LAUNCH)["Instances"]
        ids = [one["InstanceId"] for one in made]
        house.settle()
        crashed = crash_at(house, moment, ec2.terminate_instances, InstanceIds=ids)
        agree(house, ec2)
        assert {one["InstanceId"] for one in instances(ec2)} == set(ids)
        ec2.terminate_instances(InstanceIds=ids)
        house.settle()
        house.mend()
        assert agree(house, ec2) == set()
        assert {state(ec2, one) for one in ids} == {"terminated"}
        assert ec2.describe_volumes()["Volumes"] == []
        moment += 1
        house.store.close()
    assert moment > 4


def volume_of(ec2):
    return ec2.describe_volumes()["Volumes"][0]["VolumeId"]


CREATIONS = {
    "volume": lambda ec2: ec2.create_volume(
        Size=1, AvailabilityZone="us-east-1a", ClientToken="mine", TagSpecifications=tagged("volume", a="b")
    ),
    "snapshot": lambda ec2: ec2.create_snapshot(VolumeId=volume_of(ec2), TagSpecifications=tagged("snapshot", a="b")),
    "image": lambda ec2: ec2.create_image(
        InstanceId=next(instances(ec2))["InstanceId"], Name="golden", TagSpecifications=tagged("image", a="b")
    ),
    "group": lambda ec2: ec2.create_security_group(
        GroupName="web", Description="d", TagSpecifications=tagged("security-group", a="b")
    ),
    "address": lambda ec2: ec2.allocate_address(TagSpecifications=tagged("elastic-ip", a="b")),
}


def everything(house, ec2):
    """What the API lists and what the cloud has, by id and by ref."""
    listed = {
        *(one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]),
        *(one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]),
        *(one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]),
        *(one["GroupId"] for one in ec2.describe_security_groups(Filters=where(group_name="web"))["SecurityGroups"]),
        *(one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]),
    }
    mine, cloud = house.account[0], session(house)
    there = [
        *cloud.volumes.list_volumes(),
        *(one for one in cloud.volumes.list_snapshots() if one.owner == mine),
        *(one for one in cloud.images.list_images() if one.owner == mine),
        *(one for one in cloud.firewalls.list_firewalls() if one.name == "web"),
        *cloud.addresses.list_addresses(),
    ]
    return listed, {one.ref for one in there}


@pytest.mark.parametrize("kind", CREATIONS)
def test_a_creation_that_crashes_at_any_moment_leaves_nothing_unknown(build, kind):
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        ec2.run_instances(ImageId=machine_image(ec2), **{**LAUNCH, "MinCount": 1, "MaxCount": 1})
        house.settle()
        crashed = crash_at(house, moment, lambda: CREATIONS[kind](ec2))  # noqa: B023 - called at once
        listed, there = everything(house, ec2)
        assert listed == there
        tagged_ = {one["ResourceId"] for one in ec2.describe_tags()["Tags"]}
        assert tagged_ <= there
        for one in KINDS:
            assert not house.store.unfinished(one)
        moment += 1
        house.store.close()
    assert moment > 3


def test_a_machine_that_vanished_is_shown_as_terminated_for_an_hour(build):
    house = build(terminated_visible=timedelta(minutes=5))
    ec2 = house.client()
    made = ec2.run_instances(ImageId=machine_image(ec2), **LAUNCH)["Instances"]
    lost, kept = (one["InstanceId"] for one in made)
    house.settle()
    [server] = [one for one in session(house).compute.list_servers() if one.ref == lost]
    session(house).compute.delete_server(server.native)
    house.settle()

    assert (state(ec2, lost), state(ec2, kept)) == ("terminated", "running")
    house.mend()
    assert (state(ec2, lost), state(ec2, kept)) == ("terminated", "running")
    house.settle(310)
    house.mend()
    assert refusal(ec2.describe_instances, InstanceIds=[lost]) == "InvalidInstanceID.NotFound"
    assert {one["InstanceId"] for one in instances(ec2)} == agree(house, ec2) == {kept}


def test_a_machine_made_by_other_means_is_an_instance_as_any_other(house, ec2):
    cloud = session(house)
    [image, *_] = [one for one in cloud.images.list_images() if one.disks]
    [disk] = image.disks
    root = DiskSpec("hand-1-root", disk.device, 0, root=True)
    cloud.compute.create_server(ServerSpec("hand-1", "by hand", image.native, "m5.large", "us-east-1b", (root,)))
    house.settle()

    [found] = instances(ec2)
    known = found["InstanceId"]
    assert (found["InstanceType"], found["State"]["Name"]) == ("m5.large", "running")
    assert (len(found["BlockDeviceMappings"]), found["ImageId"][:4]) == (1, "ami-")
    house.front = Front(house.new_world())
    assert instance(ec2, known) == found
    ec2.create_tags(Resources=[known], Tags=tags(Name="adopted"))
    ec2.modify_instance_attribute(InstanceId=known, DisableApiTermination={"Value": True})
    house.mend()
    assert instance(ec2, known)["Tags"] == tags(Name="adopted")
    assert refusal(ec2.terminate_instances, InstanceIds=[known]) == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=known, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[known])
    house.settle()
    assert state(ec2, known) == "terminated"


def test_what_vanished_is_forgotten_with_its_tags(house, ec2):
    volume = ec2.create_volume(Size=1, AvailabilityZone="us-east-1a", TagSpecifications=tagged("volume", a="b"))
    house.settle()
    [native] = [one.native for one in session(house).volumes.list_volumes()]
    session(house).volumes.delete_volume(native)
    house.settle()
    house.mend()

    assert refusal(ec2.describe_volumes, VolumeIds=[volume["VolumeId"]]) == "InvalidVolume.NotFound"
    assert ec2.describe_tags()["Tags"] == []


class Silent:
    """A session whose cloud makes a server and then does not answer."""

    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return self if name == "compute" else getattr(self._session, name)

    def prepare_servers(self, specs):
        self._session.compute.prepare_servers(specs)

    def create_server(self, spec):
        self._session.compute.create_server(spec)
        raise Unavailable("server", "", "The cloud does not answer.")

    def list_servers(self, natives=None):
        return self._session.compute.list_servers(natives)

    def list_flavors(self):
        return self._session.compute.list_flavors()

    def delete_server(self, native, *, force=False):
        return self._session.compute.delete_server(native, force=force)


def test_a_launch_without_an_answer_is_known_and_can_be_tried_again(house, ec2, image, monkeypatch):
    asked = {"ImageId": image, **LAUNCH, "ClientToken": "mine", "TagSpecifications": tagged("instance", a="b")}
    with monkeypatch.context() as patch:
        whole = house.cloud.session
        patch.setattr(house.cloud, "session", lambda tenant: Silent(whole(tenant)))
        assert refusal(ec2.run_instances, **asked) == "Unavailable"

    assert len(list(instances(ec2))) == 2
    made = {one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]}
    house.mend()
    assert agree(house, ec2) == made
    assert all(one["Tags"] == tags(a="b") for one in instances(ec2))


def test_mending_what_is_whole_changes_nothing(house, ec2, launched):
    ec2.create_security_group(GroupName="web", Description="d")
    ec2.allocate_address()
    ec2.create_key_pair(KeyName="mine")
    house.mend()  # the launch did not tell which volumes the disks became
    before = house.store.view(house.account[0])
    house.mend()

    assert house.store.view(house.account[0]) is before


def test_a_change_of_a_rule_that_crashes_at_any_moment_loses_none_and_doubles_none(build):
    """The rule is either as it was or as it was to be, under its id and with its tags; asked again, it is changed."""
    moment, crashed = 0, True
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    anywhere = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    while crashed:
        house = build()
        ec2 = house.client()
        group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
        [made] = ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{**ssh, **anywhere}],
            TagSpecifications=tagged("security-group-rule", a="b"),
        )["SecurityGroupRules"]
        known = made["SecurityGroupRuleId"]
        update = {"SecurityGroupRuleId": known, "SecurityGroupRule": {**ssh, "ToPort": 23, "CidrIpv4": "0.0.0.0/0"}}
        asked = {"GroupId": group, "SecurityGroupRules": [update]}

        def rules(ec2=ec2, group=group):
            found = ec2.describe_security_group_rules(Filters=where(group_id=group))["SecurityGroupRules"]
            return [one for one in found if not one["IsEgress"]]

        crashed = crash_at(house, moment, ec2.modify_security_group_rules, **asked)
        [found] = rules()
        assert (found["SecurityGroupRuleId"], found["Tags"]) == (known, tags(a="b"))
        assert found["ToPort"] in (22, 23)
        ec2.modify_security_group_rules(**asked)
        [found] = rules()
        assert (found["SecurityGroupRuleId"], found["ToPort"], found["Tags"]) == (known, 23, tags(a="b"))
        moment += 1
        house.store.close()
    assert moment > 10


@pytest.mark.parametrize("then", ["the same change", "a rule like the old one", "a rule like the new one", "removal"])
def test_after_a_crash_within_a_change_of_a_rule_the_next_request_sees_it_through(build, then):
    """Nothing has been mended yet when it comes."""
    moment, crashed = 0, True
    while crashed:
        house = build()
        ec2 = house.client()
        group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
        flat = {"GroupId": group, "IpProtocol": "tcp", "CidrIp": "0.0.0.0/0"}
        old, new = {"FromPort": 22, "ToPort": 22}, {"FromPort": 80, "ToPort": 80}
        made = ec2.authorize_security_group_ingress(**flat, **old)["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        wanted = {"IpProtocol": "tcp", "CidrIpv4": "0.0.0.0/0", **new}
        asked = {"GroupId": group, "SecurityGroupRules": [{"SecurityGroupRuleId": made, "SecurityGroupRule": wanted}]}
        house.mend, mend = (lambda: None), house.mend
        crashed = crash_at(house, moment, ec2.modify_security_group_rules, **asked)
        with suppress(ClientError):
            match then:
                case "the same change":
                    ec2.modify_security_group_rules(**asked)
                case "removal":
                    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[made])
                case _:
                    ec2.authorize_security_group_ingress(**flat, **(old if then.endswith("old one") else new))
        mend()
        found = ec2.describe_security_group_rules(Filters=where(group_id=group))["SecurityGroupRules"]
        ports = {one["SecurityGroupRuleId"]: one["FromPort"] for one in found if not one["IsEgress"]}
        match then:
            case "the same change":
                assert ports == {made: 80}
            case "removal":
                assert ports == {}
            case _:
                assert made in ports
                assert len(set(ports.values())) == len(ports)
                assert {22 if then.endswith("old one") else 80} <= set(ports.values())
        moment += 1
        house.store.close()
    assert moment > 10


def test_a_launch_that_begins_after_a_start_is_spared_however_long_the_first_mending_takes(house, ec2, monkeypatch):
    compute, begun = type(session(house).compute), house.clock()
    create = compute.create_server

    def meanwhile(self, spec):
        house.settle()
        Reconciler(house.world).once(begun)
        return create(self, spec)

    monkeypatch.setattr(compute, "create_server", meanwhile)
    made = ec2.run_instances(**LAUNCH, ImageId=machine_image(ec2))["Instances"]
    monkeypatch.undo()

    assert {one["InstanceId"] for one in made} == agree(house, ec2)


def test_a_server_that_was_made_while_a_mending_looks_is_not_taken_for_gone(house, ec2, monkeypatch):
    compute, image = type(session(house).compute), machine_image(ec2)
    ec2.run_instances(**LAUNCH, ImageId=image)
    listing, made = compute.list_servers, []

    def then(self, natives=None):
        found = listing(self, natives)
        if not made:
            made.append("")
            made[:] = [one["InstanceId"] for one in ec2.run_instances(**LAUNCH, ImageId=image)["Instances"]]
        return found

    monkeypatch.setattr(compute, "list_servers", then)
    house.mend(grace=timedelta(minutes=10))
    monkeypatch.undo()

    assert 2 == len(made)
    assert set(made) < agree(house, ec2)
