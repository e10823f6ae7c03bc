"""What DescribeVpcAttribute says; Terraform asks it of every VPC it reads."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

ATTRIBUTES = ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")


@pytest.fixture
def vpc(ec2: Any) -> str:
    return str(ec2.describe_vpcs()["Vpcs"][0]["VpcId"])


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_of_a_vpc_has_a_value(ec2: Any, vpc: str, name: str) -> None:
    answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=name)

    assert vpc == answer["VpcId"]
    assert isinstance(answer[name[0].upper() + name[1:]]["Value"], bool)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"VpcId": "vpc-0123456789abcdef0", "Attribute": "enableDnsSupport"}, "InvalidVpcID.NotFound"),
        ({"VpcId": "net-1", "Attribute": "enableDnsSupport"}, "InvalidVpcID.Malformed"),
        ({"VpcId": "vpc-0123456789abcdef0", "Attribute": "colour"}, "InvalidParameterValue"),
        ({"VpcId": "vpc-0123456789abcdef0"}, "MissingParameter"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(ec2: Any, asked: dict[str, str], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.describe_vpc_attribute(**asked)

    assert code == refused.value.response["Error"]["Code"]
