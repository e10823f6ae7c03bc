"""Route tables, routes, and gateways to the internet."""

from __future__ import annotations

import pytest
from asking import refusal, tags, where

from isthmus.core import routes


@pytest.fixture
def table(ec2, vpc):
    return ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]


@pytest.fixture
def port(ec2, subnet):
    return ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]


def one(ec2, table):
    [found] = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return found


def route_of(ec2, table, to):
    [found] = [route for route in one(ec2, table)["Routes"] if to in route.values()]
    return found


def test_a_new_table_has_the_local_route_alone(house, ec2, vpc):
    wanted = [{"ResourceType": "route-table", "Tags": tags(Name="n")}]
    made = ec2.create_route_table(VpcId=vpc, TagSpecifications=wanted)["RouteTable"]

    assert (made["VpcId"], made["OwnerId"], made["Tags"]) == (vpc, house.account[0], tags(Name="n"))
    assert (made["Associations"], made["PropagatingVgws"]) == ([], [])
    assert [route["GatewayId"] for route in made["Routes"]] == ["local"]
    assert one(ec2, made["RouteTableId"]) == made


def test_a_subnet_uses_the_table_it_is_associated_with(ec2, table, subnet):
    known = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]

    [held] = one(ec2, table)["Associations"]
    assert (held["RouteTableAssociationId"], held["SubnetId"], held["Main"]) == (known, subnet, False)
    assert ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"] == known
    assert refusal(ec2.delete_route_table, RouteTableId=table) == "DependencyViolation"
    for name, value in {
        "association.subnet-id": subnet,
        "association.route-table-association-id": known,
        "association.route-table-id": table,
    }.items():
        found = ec2.describe_route_tables(Filters=[{"Name": name, "Values": [value]}])["RouteTables"]
        assert [each["RouteTableId"] for each in found] == [table], name

    ec2.disassociate_route_table(AssociationId=known)
    assert one(ec2, table)["Associations"] == []
    assert refusal(ec2.disassociate_route_table, AssociationId=known) == "InvalidAssociationID.NotFound"
    ec2.delete_route_table(RouteTableId=table)
    assert refusal(ec2.describe_route_tables, RouteTableIds=[table]) == "InvalidRouteTableID.NotFound"


def test_a_subnet_has_one_association(ec2, vpc, table, subnet):
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    assert refusal(ec2.associate_route_table, RouteTableId=other, SubnetId=subnet) == "Resource.AlreadyAssociated"


def test_an_association_is_replaced(ec2, vpc, table, subnet):
    known = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
    other = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]

    new = ec2.replace_route_table_association(AssociationId=known, RouteTableId=other)["NewAssociationId"]

    assert new != known
    assert one(ec2, table)["Associations"] == []
    assert [held["RouteTableAssociationId"] for held in one(ec2, other)["Associations"]] == [new]


def test_the_main_table_is_replaced(ec2, vpc, table):
    [main] = ec2.describe_route_tables(Filters=where(**{"association.main": "true", "vpc-id": vpc}))["RouteTables"]
    [held] = main["Associations"]
    first = held["RouteTableAssociationId"]
    assert refusal(ec2.disassociate_route_table, AssociationId=first) == "InvalidParameterValue"
    assert refusal(ec2.delete_route_table, RouteTableId=main["RouteTableId"]) == "DependencyViolation"

    new = ec2.replace_route_table_association(AssociationId=first, RouteTableId=table)["NewAssociationId"]

    assert [(held["Main"], held["RouteTableAssociationId"]) for held in one(ec2, table)["Associations"]] == [
        (True, new)
    ]
    assert one(ec2, main["RouteTableId"])["Associations"] == []
    ec2.delete_route_table(RouteTableId=main["RouteTableId"])
    assert len(ec2.describe_route_tables(Filters=where(vpc_id=vpc))["RouteTables"]) == 1


def test_a_route_leads_to_the_internet_through_a_gateway(house, ec2, table, subnet, gateway):
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    asked = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    assert ec2.create_route(**asked)["Return"] is True

    found = route_of(ec2, table, "0.0.0.0/0")
    assert (found["GatewayId"], found["Origin"], found["State"]) == (gateway, "CreateRoute", "active")
    assert refusal(ec2.create_route, **asked) == "RouteAlreadyExists"
    for name, value in {
        "route.destination-cidr-block": "0.0.0.0/0",
        "route.gateway-id": gateway,
        "route.origin": "CreateRoute",
        "route.state": "active",
    }.items():
        listed = ec2.describe_route_tables(Filters=[{"Name": name, "Values": [value]}])["RouteTables"]
        assert table in [each["RouteTableId"] for each in listed], name

    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    code = refusal(ec2.delete_route, RouteTableId=table, DestinationCidrBlock="0.0.0.0/0")
    assert code == "InvalidRoute.NotFound"


def test_what_a_route_leads_to_must_be_there(ec2, vpc, table):
    loose = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    to = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}

    assert refusal(ec2.create_route, **to, GatewayId=loose) == "InvalidParameterValue"
    nobody = "0123456789abcdef0"
    assert refusal(ec2.create_route, **to, GatewayId=f"igw-{nobody}") == "InvalidInternetGatewayID.NotFound"
    code = "InvalidNetworkInterfaceID.NotFound"
    assert refusal(ec2.create_route, **to, NetworkInterfaceId=f"eni-{nobody}") == code
    assert refusal(ec2.create_route, **to, TransitGatewayId="tgw-1") == "UnsupportedOperation"
    assert refusal(ec2.create_route, **to) == "MissingParameter"


def test_a_route_within_the_vpc_is_the_local_one(ec2, table, port):
    asked = {"RouteTableId": table, "NetworkInterfaceId": port}

    assert refusal(ec2.create_route, **asked, DestinationCidrBlock="10.7.0.0/16") == "InvalidParameterValue"
    assert refusal(ec2.create_route, **asked, DestinationCidrBlock="10.7.3.0/24") == "InvalidParameterValue"
    assert ec2.create_route(**asked, DestinationCidrBlock="10.0.0.0/8")["Return"]
    local = {"RouteTableId": table, "DestinationCidrBlock": "10.7.0.0/16"}
    assert refusal(ec2.delete_route, **local) == "InvalidParameterValue"


def test_a_route_to_an_interface_is_dead_when_that_is_gone(ec2, table, subnet, port):
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", NetworkInterfaceId=port)
    assert route_of(ec2, table, "192.0.2.0/24")["State"] == "active"

    ec2.delete_network_interface(NetworkInterfaceId=port)

    assert route_of(ec2, table, "192.0.2.0/24")["State"] == "blackhole"


def test_a_route_leads_to_an_instance_by_its_interface(ec2, launched):
    [table] = ec2.describe_route_tables()["RouteTables"]
    known = table["RouteTableId"]
    ec2.create_route(RouteTableId=known, DestinationCidrBlock="192.0.2.0/24", InstanceId=launched)

    found = route_of(ec2, known, "192.0.2.0/24")
    assert found["InstanceId"] == launched
    assert found["NetworkInterfaceId"].startswith("eni-")


def test_a_route_is_replaced(ec2, table, gateway, port):
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    ec2.replace_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", NetworkInterfaceId=port)

    assert route_of(ec2, table, "0.0.0.0/0")["NetworkInterfaceId"] == port
    asked = {"RouteTableId": table, "DestinationCidrBlock": "192.0.2.0/24", "NetworkInterfaceId": port}
    assert refusal(ec2.replace_route, **asked) == "InvalidRoute.NotFound"


@pytest.mark.parametrize(
    ("action", "verb"), [("create_route", "add"), ("replace_route", "exchange"), ("delete_route", "remove")]
)
def test_of_two_changes_of_a_table_at_once_none_is_lost(ec2, vpc, table, gateway, port, action, verb, monkeypatch):
    """The other request comes when the first has read the table, and has written nothing."""
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.0.2.0/24", GatewayId=gateway)
    change = getattr(routes, verb)

    def late(*said):
        monkeypatch.undo()
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3", RouteTableIds=[table])
        change(*said)

    monkeypatch.setattr(routes, verb, late)
    asked = {"RouteTableId": table, "DestinationCidrBlock": "198.51.100.0/24" if verb == "add" else "192.0.2.0/24"}
    getattr(ec2, action)(**asked, **({} if verb == "remove" else {"NetworkInterfaceId": port}))

    held = [each.get("DestinationCidrBlock", "an endpoint's") for each in one(ec2, table)["Routes"][1:]]
    wanted = {
        "add": ["192.0.2.0/24", "198.51.100.0/24", "an endpoint's"],
        "exchange": ["192.0.2.0/24", "an endpoint's"],
        "remove": ["an endpoint's"],
    }
    assert sorted(held) == wanted[verb]


def test_a_gateway_is_attached_to_one_vpc(ec2, vpc, gateway):
    other = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    second = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    asked = {"VpcId": other, "InternetGatewayId": gateway}
    assert refusal(ec2.attach_internet_gateway, **asked) == "Resource.AlreadyAssociated"
    assert refusal(ec2.detach_internet_gateway, **asked) == "Gateway.NotAttached"
    asked = {"VpcId": vpc, "InternetGatewayId": second}
    assert refusal(ec2.attach_internet_gateway, **asked) == "InvalidParameterValue"
    assert refusal(ec2.delete_internet_gateway, InternetGatewayId=gateway) == "DependencyViolation"
    found = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    assert [each["InternetGatewayId"] for each in found["InternetGateways"]] == [gateway]

    ec2.detach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    asked = {"InternetGatewayIds": [gateway]}
    assert refusal(ec2.describe_internet_gateways, **asked) == "InvalidInternetGatewayID.NotFound"


def test_routes_through_a_detached_gateway_lead_nowhere(house, ec2, vpc, table, subnet, gateway):
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)

    ec2.detach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)

    assert route_of(ec2, table, "0.0.0.0/0")["State"] == "blackhole"


def test_a_gateway_with_public_addresses_behind_it_stays(ec2, vpc, gateway, port):
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    ec2.associate_address(AllocationId=address, NetworkInterfaceId=port)

    asked = {"VpcId": vpc, "InternetGatewayId": gateway}
    assert refusal(ec2.detach_internet_gateway, **asked) == "DependencyViolation"


def test_a_crash_before_the_cloud_was_told_is_mended(house, ec2, table, subnet, gateway):
    """The records say it, the cloud does not know: as after a kill between the two."""
    from isthmus.context import Context
    from isthmus.core import networks, routes, wiring
    from isthmus.core.reconcile import Reconciler

    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    cx = Context(house.account[0], house.world)
    entry = routes.Entry("0.0.0.0/0", "internet", gateway)
    routes.add(cx, routes.one(cx, table), entry)
    network = networks.one_network(cx, routes.one(cx, table).data["network"])
    api = house.cloud.session(house.account[0]).networks
    assert api.wiring_of(network.noun.native) != wiring.compiled(cx, network)

    Reconciler(house.world).once()

    assert api.wiring_of(network.noun.native) == wiring.compiled(cx, network)
