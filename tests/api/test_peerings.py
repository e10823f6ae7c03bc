"""VPC peering connections."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asking import refusal, tags

from isthmus.core import peerings


@pytest.fixture
def house(build):
    return build(terminated_visible=timedelta(seconds=30))


@pytest.fixture
def both(ec2):
    return [ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (7, 8)]


def make(ec2, both, **asked):
    made = ec2.create_vpc_peering_connection(VpcId=both[0], PeerVpcId=both[1], **asked)["VpcPeeringConnection"]
    return made["VpcPeeringConnectionId"]


def one(ec2, known):
    [found] = ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[known])["VpcPeeringConnections"]
    return found


def status(ec2, known):
    return one(ec2, known)["Status"]["Code"]


def test_a_connection_waits_until_it_is_accepted(house, ec2, both):
    wanted = [{"ResourceType": "vpc-peering-connection", "Tags": tags(Name="n")}]
    made = ec2.create_vpc_peering_connection(VpcId=both[0], PeerVpcId=both[1], TagSpecifications=wanted)
    said = made["VpcPeeringConnection"]
    known = said["VpcPeeringConnectionId"]

    assert (said["Status"]["Code"], said["Tags"]) == ("initiating-request", tags(Name="n"))
    found = one(ec2, known)
    assert (found["Status"]["Code"], bool(found["ExpirationTime"])) == ("pending-acceptance", True)
    assert (found["RequesterVpcInfo"]["VpcId"], found["AccepterVpcInfo"]["VpcId"]) == tuple(both)
    assert found["AccepterVpcInfo"]["CidrBlock"] == "10.8.0.0/16"

    accepted = ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=known)["VpcPeeringConnection"]

    assert accepted["Status"]["Code"] == "active"
    networks = house.cloud.session(house.account[0]).networks
    natives = {each.ref: each.native for each in networks.list_networks()}
    assert networks.wiring_of(natives[both[0]]).peers == (natives[both[1]],)
    assert networks.wiring_of(natives[both[1]]).peers == (natives[both[0]],)
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=known) == "InvalidStateTransition"
    for name, value in {
        "status-code": "active",
        "requester-vpc-info.vpc-id": both[0],
        "accepter-vpc-info.cidr-block": "10.8.0.0/16",
        "accepter-vpc-info.owner-id": house.account[0],
    }.items():
        listed = ec2.describe_vpc_peering_connections(Filters=[{"Name": name, "Values": [value]}])
        assert [each["VpcPeeringConnectionId"] for each in listed["VpcPeeringConnections"]] == [known], name


def test_a_deleted_connection_is_shown_for_a_while_and_connects_nothing(house, ec2, both):
    known = make(ec2, both)
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=known)
    assert refusal(ec2.delete_vpc, VpcId=both[0]) == "DependencyViolation"

    assert ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=known)["Return"]

    assert status(ec2, known) == "deleted"
    assert refusal(ec2.delete_vpc_peering_connection, VpcPeeringConnectionId=known) == "InvalidStateTransition"
    for vpc in both:
        ec2.delete_vpc(VpcId=vpc)
    assert status(ec2, known) == "deleted"
    house.settle(31)
    assert refusal(one, ec2=ec2, known=known) == "InvalidVpcPeeringConnectionID.NotFound"


def test_a_connection_is_rejected(ec2, both):
    known = make(ec2, both)

    assert ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=known)["Return"]

    assert status(ec2, known) == "rejected"
    assert make(ec2, both) != known


def test_nobody_accepts_after_seven_days(house, ec2, both, monkeypatch):
    assert timedelta(days=7) == peerings.EXPIRES
    monkeypatch.setattr(peerings, "EXPIRES", timedelta(seconds=30))
    known = make(ec2, both)
    house.settle(31)

    assert status(ec2, known) == "expired"
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=known) == "InvalidStateTransition"


def test_what_has_expired_is_shown_for_a_while_and_holds_no_network(house, ec2, both, monkeypatch):
    monkeypatch.setattr(peerings, "EXPIRES", timedelta(seconds=30))
    known = make(ec2, both)
    house.settle(31)
    house.mend()

    for vpc in both:
        ec2.delete_vpc(VpcId=vpc)
    house.mend()
    assert status(ec2, known) == "expired"
    house.settle(31)
    house.mend()
    assert refusal(one, ec2=ec2, known=known) == "InvalidVpcPeeringConnectionID.NotFound"


def test_networks_that_overlap_fail_to_connect(ec2, both):
    third = ec2.create_vpc(CidrBlock="10.7.128.0/20")["Vpc"]["VpcId"]

    known = make(ec2, [both[0], third])

    assert status(ec2, known) == "failed"
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=known) == "InvalidStateTransition"
    ec2.delete_vpc(VpcId=third)
    assert status(ec2, known) == "failed"


def test_networks_do_not_come_to_overlap(ec2, both):
    """Source: "VPC CIDR blocks" in the VPC User Guide, of ranges that are added to a VPC with a peering connection."""
    known = make(ec2, both)
    assert refusal(ec2.associate_vpc_cidr_block, VpcId=both[0], CidrBlock="10.8.0.0/20") == "CidrConflict"
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=known)
    assert refusal(ec2.associate_vpc_cidr_block, VpcId=both[1], CidrBlock="10.7.0.0/20") == "CidrConflict"
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=known)

    again = make(ec2, both)
    ec2.associate_vpc_cidr_block(VpcId=both[1], CidrBlock="10.7.0.0/20")

    assert status(ec2, again) == "failed"
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=again) == "InvalidStateTransition"


@pytest.mark.parametrize("first", ["accept_vpc_peering_connection", "reject_vpc_peering_connection"])
def test_of_two_answers_at_once_one_counts(house, ec2, both, first, monkeypatch):
    """The other request comes when the first has read how things are, and has written nothing."""
    known = make(ec2, both)
    turn = peerings._turn

    def late(*said):
        monkeypatch.undo()
        with house.store.noting([]):  # as a thread of its own would
            getattr(ec2, first)(VpcPeeringConnectionId=known)
        turn(*said)

    monkeypatch.setattr(peerings, "_turn", late)
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=known) == "InvalidStateTransition"

    assert status(ec2, known) == ("active" if "accept" in first else "rejected")


def test_connections_are_limited(house, ec2, both):
    house.world.limits.quotas.update(peering_requests=1, peerings_per_vpc=1)
    third = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    code = "OutstandingVpcPeeringConnectionLimitExceeded"

    known = make(ec2, both)
    assert refusal(make, ec2=ec2, both=[third, both[0]]) == code
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=known)
    further = make(ec2, [third, both[0]])

    code = "ActiveVpcPeeringConnectionPerVpcLimitExceeded"
    assert refusal(ec2.accept_vpc_peering_connection, VpcPeeringConnectionId=further) == code
    assert status(ec2, further) == "pending-acceptance"


def test_two_networks_have_one_connection(ec2, both):
    make(ec2, both)

    assert refusal(make, ec2=ec2, both=both) == "VpcPeeringConnectionAlreadyExists"
    assert refusal(make, ec2=ec2, both=[both[0], both[0]]) == "InvalidParameterValue"


def test_another_account_or_region_is_refused(ec2, both):
    assert refusal(make, ec2=ec2, both=both, PeerOwnerId="999999999999") == "UnsupportedOperation"
    assert refusal(make, ec2=ec2, both=both, PeerRegion="eu-west-1") == "UnsupportedOperation"


def test_a_route_leads_to_the_other_network(house, ec2, both):
    known = make(ec2, both)
    [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [both[0]]}])["RouteTables"]
    ec2.create_subnet(VpcId=both[0], CidrBlock="10.7.1.0/24")
    asked = {
        "RouteTableId": table["RouteTableId"],
        "DestinationCidrBlock": "10.8.0.0/16",
        "VpcPeeringConnectionId": known,
    }
    assert refusal(ec2.create_route, **asked) == "InvalidParameterValue"
    ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=known)
    ec2.create_route(**asked)

    def state():
        [found] = ec2.describe_route_tables(RouteTableIds=[table["RouteTableId"]])["RouteTables"]
        return found["Routes"][1]["State"]

    assert state() == "active"
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=known)
    assert state() == "blackhole"


def test_options_can_be_what_they_are(ec2, both):
    known = make(ec2, both)
    off = {"AllowDnsResolutionFromRemoteVpc": False}

    asked = {"VpcPeeringConnectionId": known, "RequesterPeeringConnectionOptions": off}
    said = ec2.modify_vpc_peering_connection_options(**asked)["RequesterPeeringConnectionOptions"]
    assert said["AllowDnsResolutionFromRemoteVpc"] is False
    asked["RequesterPeeringConnectionOptions"] = {"AllowDnsResolutionFromRemoteVpc": True}
    assert refusal(ec2.modify_vpc_peering_connection_options, **asked) == "UnsupportedOperation"
