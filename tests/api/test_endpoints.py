"""Gateway endpoints, their services and prefix lists."""

from __future__ import annotations

import json

import pytest
from asking import refusal, tags, where

from isthmus.core import endpoints

S3 = "com.amazonaws.us-east-1.s3"


@pytest.fixture
def table(ec2, vpc):
    return ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]


def make(ec2, vpc, *tables, **asked):
    made = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=S3, RouteTableIds=list(tables), **asked)
    return made["VpcEndpoint"]["VpcEndpointId"]


def one(ec2, known):
    [found] = ec2.describe_vpc_endpoints(VpcEndpointIds=[known])["VpcEndpoints"]
    return found


def routes(ec2, table):
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return found["Routes"][1:]


@pytest.fixture
def prefixes(ec2):
    found = ec2.describe_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": [S3]}])["PrefixLists"]
    return found[0]["PrefixListId"]


def test_each_service_has_a_list_of_prefixes(ec2, stranger, prefixes):
    names = [each["PrefixListName"] for each in ec2.describe_prefix_lists()["PrefixLists"]]

    assert sorted(names) == ["com.amazonaws.us-east-1.dynamodb", S3]
    [found] = stranger.describe_prefix_lists(PrefixListIds=[prefixes])["PrefixLists"]
    assert found["PrefixListName"] == S3
    asked = {"PrefixListIds": ["pl-0123456789abcdef0"]}
    assert refusal(ec2.describe_prefix_lists, **asked) == "InvalidPrefixListID.NotFound"
    assert ec2.describe_vpc_endpoint_services()["ServiceNames"] == sorted(names)


def test_an_endpoint_puts_routes_into_its_tables(house, ec2, vpc, table, prefixes):
    wanted = [{"ResourceType": "vpc-endpoint", "Tags": tags(Name="n")}]
    known = make(ec2, vpc, table, TagSpecifications=wanted)

    found = one(ec2, known)
    assert (found["State"], found["VpcEndpointType"], found["ServiceName"]) == ("available", "Gateway", S3)
    assert (found["RouteTableIds"], found["OwnerId"], found["Tags"]) == ([table], house.account[0], tags(Name="n"))
    assert json.loads(found["PolicyDocument"])["Statement"][0]["Effect"] == "Allow"
    [route] = routes(ec2, table)
    assert (route["DestinationPrefixListId"], route["GatewayId"], route["State"]) == (prefixes, known, "active")
    assert refusal(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"


def test_a_table_has_one_route_to_a_service(ec2, vpc, table):
    make(ec2, vpc, table)
    asked = {"VpcId": vpc, "ServiceName": S3, "RouteTableIds": [table]}

    assert refusal(ec2.create_vpc_endpoint, **asked) == "RouteAlreadyExists"
    assert len(ec2.describe_vpc_endpoints()["VpcEndpoints"]) == 1


def test_an_endpoint_is_changed(ec2, vpc, table):
    known = make(ec2, vpc, table)
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    policy = json.dumps({"Statement": []})

    ec2.modify_vpc_endpoint(
        VpcEndpointId=known, AddRouteTableIds=[other], RemoveRouteTableIds=[table], PolicyDocument=policy
    )

    assert (one(ec2, known)["RouteTableIds"], one(ec2, known)["PolicyDocument"]) == ([other], policy)
    assert (routes(ec2, table), len(routes(ec2, other))) == ([], 1)
    asked = {"VpcEndpointId": known, "RemoveRouteTableIds": [table]}
    assert refusal(ec2.modify_vpc_endpoint, **asked) == "InvalidParameterValue"
    assert refusal(ec2.modify_vpc_endpoint, VpcEndpointId=known, PolicyDocument="nonsense") == "InvalidPolicyDocument"
    ec2.modify_vpc_endpoint(VpcEndpointId=known, ResetPolicy=True)
    assert one(ec2, known)["PolicyDocument"] != policy


def test_endpoints_are_deleted_with_their_routes(ec2, vpc, table):
    known, never = make(ec2, vpc, table), "vpce-0123456789abcdef0"

    [failed] = ec2.delete_vpc_endpoints(VpcEndpointIds=[known, never])["Unsuccessful"]

    assert (failed["ResourceId"], failed["Error"]["Code"]) == (never, "InvalidVpcEndpointId.NotFound")
    assert routes(ec2, table) == []
    assert refusal(one, ec2=ec2, known=known) == "InvalidVpcEndpointId.NotFound"


def test_the_route_of_an_endpoint_is_the_endpoints_alone(ec2, vpc, table, prefixes):
    known = make(ec2, vpc, table)

    asked = {"RouteTableId": table, "DestinationPrefixListId": prefixes}
    assert refusal(ec2.delete_route, **asked) == "InvalidParameterValue"

    assert [each["GatewayId"] for each in routes(ec2, table)] == [known]


def test_a_table_that_has_another_endpoints_route_is_not_added(ec2, vpc, table):
    known, free = make(ec2, vpc, table), ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    other = make(ec2, vpc)

    asked = {"VpcEndpointId": other, "AddRouteTableIds": [free, table]}
    assert refusal(ec2.modify_vpc_endpoint, **asked) == "RouteAlreadyExists"

    assert (one(ec2, known)["RouteTableIds"], one(ec2, other)["RouteTableIds"]) == ([table], [])
    assert routes(ec2, free) == []
    ec2.modify_vpc_endpoint(VpcEndpointId=known, AddRouteTableIds=[table])
    asked = {"VpcEndpointId": known, "AddRouteTableIds": [table], "RemoveRouteTableIds": [table]}
    assert refusal(ec2.modify_vpc_endpoint, **asked) == "InvalidParameterCombination"


def test_a_deleted_table_is_none_of_an_endpoints(ec2, vpc, table):
    known = make(ec2, vpc, table)
    ec2.delete_route_table(RouteTableId=table)

    assert one(ec2, known)["RouteTableIds"] == []
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[known])["Unsuccessful"] == []


def test_a_retry_after_a_crash_puts_the_missing_routes_into_their_tables(ec2, vpc, table, monkeypatch):
    class Killed(BaseException):
        pass

    further = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    add, added = endpoints.routes.add, []

    def once(*said):
        if added:
            raise Killed
        added.append(add(*said))

    monkeypatch.setattr(endpoints.routes, "add", once)
    with pytest.raises(Killed):
        make(ec2, vpc, table, further, ClientToken="t")
    monkeypatch.undo()
    [begun] = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert begun["RouteTableIds"] == [table]

    assert make(ec2, vpc, table, further, ClientToken="t") == begun["VpcEndpointId"]

    assert sorted(one(ec2, begun["VpcEndpointId"])["RouteTableIds"]) == sorted([table, further])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"VpcEndpointType": "Interface"}, "UnsupportedOperation"),
        ({"SubnetIds": ["subnet-0123456789abcdef0"]}, "UnsupportedOperation"),
        ({"ServiceName": "com.amazonaws.us-east-1.nothing"}, "InvalidServiceName"),
        ({"RouteTableIds": ["rtb-0123456789abcdef0"]}, "InvalidRouteTableID.NotFound"),
    ],
)
def test_what_no_endpoint_can_be_is_refused(ec2, vpc, asked, code):
    assert refusal(ec2.create_vpc_endpoint, **{"VpcId": vpc, "ServiceName": S3, **asked}) == code
    assert ec2.describe_vpc_endpoints()["VpcEndpoints"] == []


def test_lists_of_services_are_read_as_managed_lists(build):
    ranges = ("192.0.2.0/24", "198.51.100.0/25", "203.0.113.0/24")
    ec2 = build(services={"s3": ranges, "dynamodb": ()}).client()

    [found] = ec2.describe_managed_prefix_lists(Filters=where(prefix_list_name=S3, owner_id="AWS"))["PrefixLists"]

    known = found["PrefixListId"]
    assert (found["State"], found["AddressFamily"], found["OwnerId"]) == ("create-complete", "IPv4", "AWS")
    assert found["PrefixListArn"] == f"arn:aws:ec2:us-east-1:aws:prefix-list/{known}"
    assert ec2.describe_managed_prefix_lists(PrefixListIds=[known])["PrefixLists"] == [found]
    [listed] = ec2.describe_prefix_lists(PrefixListIds=[known])["PrefixLists"]
    assert listed["Cidrs"] == list(ranges)
    pages = ec2.get_paginator("get_managed_prefix_list_entries").paginate(
        PrefixListId=known, PaginationConfig={"PageSize": 2}
    )
    assert [[each["Cidr"] for each in page["Entries"]] for page in pages] == [list(ranges[:2]), [ranges[2]]]


@pytest.mark.parametrize(
    ("call", "asked", "code"),
    [
        ("describe_managed_prefix_lists", {"PrefixListIds": ["pl-0123456789abcdef0"]}, "InvalidPrefixListID.NotFound"),
        ("describe_managed_prefix_lists", {"PrefixListIds": ["list"]}, "InvalidPrefixListId.Malformed"),
        ("get_managed_prefix_list_entries", {"PrefixListId": "pl-0123456789abcdef0"}, "InvalidPrefixListID.NotFound"),
        ("get_managed_prefix_list_entries", {"PrefixListId": "list"}, "InvalidPrefixListId.Malformed"),
    ],
)
def test_a_list_that_is_not_there(ec2, call, asked, code):
    assert refusal(getattr(ec2, call), **asked) == code


def test_lists_of_services_have_no_versions(ec2, prefixes):
    asked = {"PrefixListId": prefixes, "TargetVersion": 1}
    assert refusal(ec2.get_managed_prefix_list_entries, **asked) == "UnsupportedOperation"


def test_services_are_listed_page_by_page(ec2):
    first = ec2.describe_vpc_endpoint_services(MaxResults=1)
    second = ec2.describe_vpc_endpoint_services(MaxResults=1, NextToken=first["NextToken"])

    assert [*first["ServiceNames"], *second["ServiceNames"]] == ["com.amazonaws.us-east-1.dynamodb", S3]
    assert [each["ServiceName"] for each in second["ServiceDetails"]] == [S3]
    assert "NextToken" not in second
    assert ec2.describe_vpc_endpoint_services(ServiceRegions=["eu-west-1"])["ServiceNames"] == []
