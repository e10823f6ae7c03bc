from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metadata_guest import FIRST, GUEST, PUBLIC

from isthmus.imds.tree import VERSIONS, Guest, Interface, SecurityGroup, answer, private_name, public_name, tree

MACS = "/latest/meta-data/network/interfaces/macs/"
MAC = f"{MACS}02:00:ac:1f:00:05/"
SECOND = Interface(
    id="eni-00000000000000002",
    mac="02:00:AC:1F:10:07",
    addresses=("172.31.16.7", "172.31.16.8", "172.31.16.9"),
    device=2,
    publics={"203.0.113.8": "172.31.16.7", "203.0.113.9": "172.31.16.9"},
    subnet_id="subnet-00000000000000002",
    subnet_cidr="172.31.16.0/20",
    vpc_id="vpc-0123456789abcdef0",
    vpc_cidrs=("172.31.0.0/16", "10.0.0.0/16"),
    security_groups=(SecurityGroup("sg-0c", "back"),),
)


def get(guest: Guest, path: str) -> str | None:
    found = answer(tree(guest, {"document": b"{}"}), path)
    return None if found is None else found.decode()


def test_the_root_lists_the_versions() -> None:
    versions = (get(GUEST, "/") or "").split("\n")

    assert {"1.0", "2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23", "latest"} <= set(versions)
    assert versions[-1] == "latest"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_listed_version_is_served(version: str) -> None:
    assert get(GUEST, f"/{version}/meta-data/instance-id") == "i-0123456789abcdef0"


def test_a_version_that_is_not_listed_is_not_there() -> None:
    assert get(GUEST, "/2030-01-01/meta-data/instance-id") is None


@pytest.mark.parametrize("path", ["/latest", "/latest/", "//latest//"])
def test_the_level_below_a_version_is_listed_without_slashes(path: str) -> None:
    assert get(GUEST, path) == "dynamic\nmeta-data\nuser-data"


def test_directories_are_listed_with_a_slash_and_leaves_without() -> None:
    listed = (get(GUEST, "/latest/meta-data/") or "").split("\n")

    assert listed == sorted(listed)
    assert {"ami-id", "block-device-mapping/", "network/", "placement/", "public-keys/", "services/"} <= set(listed)
    assert not {"public-keys", "network", "iam/", "spot/", "tags/"} & set(listed)


@pytest.mark.parametrize("path", ["/latest/meta-data/placement", "/latest/meta-data/placement/"])
def test_a_directory_is_listed_with_or_without_a_slash_asked_for(path: str) -> None:
    assert get(GUEST, path) == "availability-zone\navailability-zone-id\nregion"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ami-id", "ami-0123456789abcdef0"),
        ("ami-launch-index", "0"),
        ("block-device-mapping/ebs1", "/dev/sdf"),
        ("hostname", "ip-172-31-0-5.ec2.internal"),
        ("instance-action", "none"),
        ("instance-life-cycle", "on-demand"),
        ("instance-type", "t3.micro"),
        ("local-hostname", "ip-172-31-0-5.ec2.internal"),
        ("local-ipv4", "172.31.0.5"),
        ("mac", "02:00:ac:1f:00:05"),
        ("placement/availability-zone", "us-east-1a"),
        ("placement/availability-zone-id", "use1-az1"),
        ("placement/region", "us-east-1"),
        ("profile", "default-hvm"),
        ("public-keys", "0=alice"),
        ("public-keys/", "0=alice"),
        ("public-keys/0", "openssh-key"),
        ("public-keys/0/", "openssh-key"),
        ("public-keys/0/openssh-key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7 alice"),
        ("reservation-id", "r-0123456789abcdef0"),
        ("security-groups", "default\nweb"),
        ("services/domain", "amazonaws.com"),
        ("services/partition", "aws"),
    ],
)
def test_a_value_is_where_ec2_has_it(path: str, value: str) -> None:
    assert get(GUEST, f"/latest/meta-data/{path}") == value


def test_the_interface_is_described_below_its_mac() -> None:
    assert get(GUEST, MACS) == "02:00:ac:1f:00:05/"
    names = (get(GUEST, MAC) or "").split("\n")

    assert {name: get(GUEST, MAC + name) for name in names} == {
        "device-number": "0",
        "interface-id": "eni-0123456789abcdef0",
        "local-hostname": "ip-172-31-0-5.ec2.internal",
        "local-ipv4s": "172.31.0.5",
        "mac": "02:00:ac:1f:00:05",
        "owner-id": "123456789012",
        "security-group-ids": "sg-0a\nsg-0b",
        "security-groups": "default\nweb",
        "subnet-id": "subnet-0123456789abcdef0",
        "subnet-ipv4-cidr-block": "172.31.0.0/20",
        "vpc-id": "vpc-0123456789abcdef0",
        "vpc-ipv4-cidr-block": "172.31.0.0/16",
        "vpc-ipv4-cidr-blocks": "172.31.0.0/16",
    }


def test_each_interface_is_described_with_all_of_its_addresses() -> None:
    guest = replace(GUEST, interfaces=(FIRST, SECOND))
    mac = f"{MACS}02:00:ac:1f:10:07/"
    names = (get(guest, mac) or "").split("\n")

    assert get(guest, MACS) == "02:00:ac:1f:00:05/\n02:00:ac:1f:10:07/"
    assert get(guest, MAC + "local-ipv4s") == "172.31.0.5"
    assert get(guest, mac + "ipv4-associations/") == "203.0.113.8\n203.0.113.9"
    assert get(guest, mac + "ipv4-associations/203.0.113.9") == "172.31.16.9"
    assert {name: get(guest, mac + name) for name in names if not name.endswith("/")} == {
        "device-number": "2",
        "interface-id": "eni-00000000000000002",
        "local-hostname": "ip-172-31-16-7.ec2.internal",
        "local-ipv4s": "172.31.16.7\n172.31.16.8\n172.31.16.9",
        "mac": "02:00:ac:1f:10:07",
        "owner-id": "123456789012",
        "public-hostname": "ec2-203-0-113-8.compute-1.amazonaws.com",
        "public-ipv4s": "203.0.113.8\n203.0.113.9",
        "security-group-ids": "sg-0c",
        "security-groups": "back",
        "subnet-id": "subnet-00000000000000002",
        "subnet-ipv4-cidr-block": "172.31.16.0/20",
        "vpc-id": "vpc-0123456789abcdef0",
        "vpc-ipv4-cidr-block": "172.31.0.0/16",
        "vpc-ipv4-cidr-blocks": "172.31.0.0/16\n10.0.0.0/16",
    }


def test_what_is_said_of_the_instance_is_of_its_first_interface() -> None:
    guest = replace(GUEST, interfaces=(FIRST, SECOND))

    for name in ("local-ipv4", "local-hostname", "mac", "security-groups"):
        assert get(guest, f"/latest/meta-data/{name}") == get(GUEST, f"/latest/meta-data/{name}") is not None
    assert get(guest, "/latest/meta-data/public-ipv4") is None


def test_a_public_address_of_a_further_private_one_is_the_interfaces_alone() -> None:
    first = replace(FIRST, addresses=("172.31.0.5", "172.31.0.6"), publics={"203.0.113.7": "172.31.0.6"})
    guest = replace(GUEST, interfaces=(first,))

    assert get(guest, "/latest/meta-data/public-ipv4") is None
    assert get(guest, MAC + "public-ipv4s") == "203.0.113.7"


def test_a_path_may_be_percent_encoded() -> None:
    assert get(GUEST, MAC.replace(":", "%3A") + "device-number") == "0"


def test_public_facts_are_there_with_a_public_address_only() -> None:
    public = replace(GUEST, interfaces=(PUBLIC,))

    assert get(GUEST, "/latest/meta-data/public-ipv4") is None
    assert get(GUEST, "/latest/meta-data/public-hostname") is None
    assert get(public, "/latest/meta-data/public-ipv4") == "203.0.113.7"
    assert get(public, "/latest/meta-data/public-hostname") == "ec2-203-0-113-7.compute-1.amazonaws.com"
    assert get(public, MAC + "public-ipv4s") == "203.0.113.7"
    assert get(public, MAC + "ipv4-associations/203.0.113.7") == "172.31.0.5"


def test_user_data_is_served_byte_for_byte() -> None:
    assert answer(tree(GUEST), "/latest/user-data") == b"#!/bin/sh\necho \xff\x00\n"


@pytest.mark.parametrize("nothing", [None, b""])
def test_without_user_data_there_is_no_such_thing(nothing: bytes | None) -> None:
    guest = replace(GUEST, user_data=nothing)

    assert get(guest, "/latest/user-data") is None
    assert get(guest, "/latest") == "dynamic\nmeta-data"


def test_without_a_key_there_are_no_public_keys() -> None:
    guest = replace(GUEST, key_name="", public_key="")

    assert get(guest, "/latest/meta-data/public-keys/") is None
    assert "public-keys" not in (get(guest, "/latest/meta-data/") or "")


def test_tags_are_shown_only_when_allowed() -> None:
    allowed = replace(GUEST, instance_metadata_tags=True)

    assert get(GUEST, "/latest/meta-data/tags/instance/Name") is None
    assert get(allowed, "/latest/meta-data/tags/instance/Name") == "one"
    assert get(allowed, "/latest/meta-data/tags/instance/empty") == ""


def test_tags_that_cannot_be_path_segments_are_left_out() -> None:
    assert get(replace(GUEST, instance_metadata_tags=True), "/latest/meta-data/tags/instance") == "Name\nempty"


@pytest.mark.parametrize("path", ["iam/security-credentials/", "iam/info", "spot/instance-action", "kernel-id", "meta"])
def test_what_an_instance_has_not_is_not_there(path: str) -> None:
    assert get(GUEST, f"/latest/meta-data/{path}") is None


def test_a_kernel_and_a_ramdisk_are_named_where_chosen() -> None:
    guest = replace(GUEST, kernel_id="aki-1", ramdisk_id="ari-1")

    assert get(guest, "/latest/meta-data/kernel-id") == "aki-1"
    assert get(guest, "/latest/meta-data/ramdisk-id") == "ari-1"


def test_names_carry_the_region_outside_us_east_1() -> None:
    assert private_name("10.0.0.1", "eu-west-1") == "ip-10-0-0-1.eu-west-1.compute.internal"
    assert public_name("203.0.113.7", "eu-west-1") == "ec2-203-0-113-7.eu-west-1.compute.amazonaws.com"


def test_everything_listed_can_be_read() -> None:
    leaves = tree(replace(GUEST, instance_metadata_tags=True, interfaces=(PUBLIC, SECOND)))

    def walk(path: str) -> set[str]:
        listed = (answer(leaves, path) or b"").decode().split("\n")
        below = {path + re.sub(r"^0=.*", "0/", name) for name in listed}
        return {leaf for each in below for leaf in (walk(each) if each.endswith("/") else {each})}

    read = walk("/latest/meta-data/")
    assert {f"/latest/{path}" for path in leaves} - read == {"/latest/meta-data/public-keys", "/latest/user-data"}
    assert all(answer(leaves, path) is not None for path in read)


@given(st.text())
def test_any_path_has_an_answer_or_none(path: str) -> None:
    answer(tree(GUEST), path)
