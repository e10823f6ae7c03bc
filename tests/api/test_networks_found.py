"""Networks that were made by other means than the API."""

from __future__ import annotations

from dataclasses import replace

import pytest

from isthmus.model import Hop, Network, Route, SubnetWiring, Wiring
from isthmus.providers import NetworkSpec, SubnetSpec

OUT = (Route("0.0.0.0/0", Hop.INTERNET),)


@pytest.fixture
def found(house):
    """A network with a way to the internet that the cloud's own tools made."""
    networks = house.cloud.session(house.account[0]).networks
    made = networks.create_network(NetworkSpec("theirs", "theirs", "10.9.0.0/16"))
    subnet = networks.create_subnet(SubnetSpec("theirs", "theirs", made.native, "10.9.1.0/24", "us-east-1a"))
    networks.wire(made.native, Wiring(internet=True, subnets=(SubnetWiring(subnet.native, OUT),)))
    return networks._tenant.networks.put(replace(made, ref="", outside=True))


@pytest.fixture
def vpc(ec2, found: Network) -> str:
    [one] = [one for one in ec2.describe_vpcs()["Vpcs"] if one["CidrBlock"] == found.cidr]
    return str(one["VpcId"])


def test_a_network_that_leads_outside_has_a_gateway_and_a_route_there(ec2, vpc):
    mine = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    [gateway] = ec2.describe_internet_gateways(Filters=mine)["InternetGateways"]
    [table] = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]

    routes = {one["DestinationCidrBlock"]: one["GatewayId"] for one in table["Routes"]}
    assert routes == {"10.9.0.0/16": "local", "0.0.0.0/0": gateway["InternetGatewayId"]}


def test_mending_does_not_cut_off_a_network_that_leads_outside(house, ec2, vpc, found):
    networks = house.cloud.session(house.account[0]).networks
    before = networks.wiring_of(found.native)

    house.mend()

    assert before == networks.wiring_of(found.native)
