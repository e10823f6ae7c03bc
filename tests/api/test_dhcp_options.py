"""Sets of DHCP options."""

from __future__ import annotations

import pytest
from asking import refusal, tags

from isthmus.model import CLOUDS_OWN


def make(ec2, **options):
    said = [{"Key": key.replace("_", "-"), "Values": values} for key, values in options.items()]
    return ec2.create_dhcp_options(DhcpConfigurations=said)["DhcpOptions"]


def one(ec2, known):
    [found] = ec2.describe_dhcp_options(DhcpOptionsIds=[known])["DhcpOptions"]
    return {said["Key"]: [value["Value"] for value in said["Values"]] for said in found["DhcpConfigurations"]}


def used(ec2, vpc):
    return ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["DhcpOptionsId"]


def test_all_vpcs_begin_with_one_set(ec2, vpc):
    [first] = ec2.describe_dhcp_options()["DhcpOptions"]

    assert {found["DhcpOptionsId"] for found in ec2.describe_vpcs()["Vpcs"]} == {first["DhcpOptionsId"]}
    assert one(ec2, first["DhcpOptionsId"]) == {
        "domain-name": ["ec2.internal"],
        "domain-name-servers": ["AmazonProvidedDNS"],
    }
    assert refusal(ec2.delete_dhcp_options, DhcpOptionsId=first["DhcpOptionsId"]) == "DependencyViolation"


def test_a_set_has_what_it_is_given(house, ec2):
    servers = ["10.7.0.2", "AmazonProvidedDNS"]
    made = make(ec2, domain_name=["example.org"], domain_name_servers=servers, netbios_node_type=["2"])

    known = made["DhcpOptionsId"]
    assert made["OwnerId"] == house.account[0]
    assert one(ec2, known) == {
        "domain-name": ["example.org"],
        "domain-name-servers": servers,
        "netbios-node-type": ["2"],
    }
    ec2.create_tags(Resources=[known], Tags=tags(Name="n"))
    for name, value in {"key": "netbios-node-type", "value": "example.org", "tag:Name": "n"}.items():
        found = ec2.describe_dhcp_options(Filters=[{"Name": name, "Values": [value]}])["DhcpOptions"]
        assert [each["DhcpOptionsId"] for each in found] == [known], name
    ec2.delete_dhcp_options(DhcpOptionsId=known)
    assert refusal(ec2.describe_dhcp_options, DhcpOptionsIds=[known]) == "InvalidDhcpOptionID.NotFound"


@pytest.mark.parametrize(
    "options",
    [
        {"nonsense": ["x"]},
        {"domain_name_servers": ["not an address"]},
        {"domain_name_servers": [f"10.0.0.{number}" for number in range(5)]},
        {"domain_name": ["a", "b", "c", "d", "e"]},
        {"netbios_node_type": ["3"]},
        {"ntp_servers": ["AmazonProvidedDNS"]},
    ],
)
def test_options_that_cannot_be_are_refused(ec2, options):
    assert refusal(make, ec2=ec2, **options) == "InvalidParameterValue"


def test_a_vpc_uses_another_set_and_its_cloud_is_told(house, ec2, vpc):
    known = make(ec2, domain_name=["example.org", "example.net"], domain_name_servers=["10.7.0.2"])["DhcpOptionsId"]

    ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId=known)

    assert used(ec2, vpc) == known
    assert refusal(ec2.delete_dhcp_options, DhcpOptionsId=known) == "DependencyViolation"
    networks = house.cloud.session(house.account[0]).networks
    [native] = [network.native for network in networks.list_networks() if network.ref == vpc]
    told = networks.wiring_of(native).dhcp
    assert (told.domain, told.name_servers) == ("example.org example.net", ("10.7.0.2",))

    ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId="default")
    assert used(ec2, vpc) == "default"
    ec2.delete_dhcp_options(DhcpOptionsId=known)
    asked = {"VpcId": vpc, "DhcpOptionsId": "dopt-0123456789abcdef0"}
    assert refusal(ec2.associate_dhcp_options, **asked) == "InvalidDhcpOptionID.NotFound"


def test_the_set_that_new_vpcs_use_stays(ec2, vpc):
    first, known = used(ec2, vpc), make(ec2, domain_name=["example.org"])["DhcpOptionsId"]
    for found in ec2.describe_vpcs()["Vpcs"]:
        ec2.associate_dhcp_options(VpcId=found["VpcId"], DhcpOptionsId=known)

    assert refusal(ec2.delete_dhcp_options, DhcpOptionsId=first) == "DependencyViolation"
    assert used(ec2, ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]) == first


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        (["AmazonProvidedDNS"], ()),
        (["10.7.0.53", "AmazonProvidedDNS"], ("10.7.0.53", CLOUDS_OWN)),
        (["AmazonProvidedDNS,10.7.0.53"], (CLOUDS_OWN, "10.7.0.53")),
    ],
)
def test_amazon_s_name_server_is_the_cloud_s_own(house, ec2, vpc, servers, told):
    known = make(ec2, domain_name_servers=servers)["DhcpOptionsId"]
    ec2.associate_dhcp_options(VpcId=vpc, DhcpOptionsId=known)

    networks = house.cloud.session(house.account[0]).networks
    [native] = [network.native for network in networks.list_networks() if network.ref == vpc]
    assert networks.wiring_of(native).dhcp.name_servers == told
    assert one(ec2, known)["domain-name-servers"] == [name for said in servers for name in said.split(",")]
