"""Terraform, unmodified, with a CloudStack user's own keys: sets are made, changed in place and gone again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import terraform
from emulated_cloudstack import serving_users
from served import eventually
from things import things

pytestmark = pytest.mark.clients

NAMES = {
    "t2.micro": "Tiny",
    "t3.micro": "Tiny",
    "t3.small": "Medium",
    "isthmus-tiny*": "debian",
    "amzn2-ami-hvm-*-x86_64-gp2": "debian",
}
"""What the sets name, and what the emulated cloud has of it."""
CANNOT: Mapping[tuple[str, bool], Mapping[str, str]] = {
    ("web", True): {
        "aws_eip": "a shared network has no elastic IPs",
        "aws_eip_association": "a shared network has no elastic IPs",
        "address": "a shared network has no elastic IPs",
    },
    ("network", False): {
        **dict.fromkeys(("aws_network_interface", "aws_eip_association"), "interfaces are those of machines"),
        "aws_network_acl": "CloudStack's filters of subnets keep state",
        "aws_nat_gateway": "a VPC's router is its only way out",
        "aws_vpc_peering_connection": "CloudStack has no peering",
        "aws_vpc_dhcp_options": "Isthmus does not do so over CloudStack yet",
        "aws_vpc_dhcp_options_association": "Isthmus does not do so over CloudStack yet",
    },
    ("data", True): {},
    ("data", False): {},
}
"""What a set cannot have in zones with security groups, and without."""


@pytest.mark.parametrize(("name", "groups"), CANNOT)
def test_a_set_is_made_changed_in_place_and_gone(tmp_path: Path, name: str, groups: bool) -> None:
    """After each step there is nothing left to do."""

    def here(text: str) -> str:
        return terraform.renamed(terraform.without(text, CANNOT[name, groups]), NAMES)

    (tmp_path / "terraform").mkdir()
    with serving_users(tmp_path, groups=groups) as [account]:
        before = things(account)
        run = terraform.runner(account, tmp_path / "terraform", name, here)
        steps: list[list[str]] = [[]] if name == "data" else [["-var=v=1"], ["-var=v=2"]]
        for words in steps:
            terraform.apply(run, *words)
            terraform.plan_is_empty(run, *words)
        terraform.destroy(run, *steps[-1])
        eventually(lambda: things(account), lambda found: found == before)
