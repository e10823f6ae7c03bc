"""Public addresses that a subnet gives to what is launched in it: where there are such, and where not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus, fronted


def launched_in(isthmus: Isthmus, ec2: Any, subnet: str, **more: Any) -> Any:
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    asked = {"MinCount": 1, "MaxCount": 1, "ImageId": image, "InstanceType": "Tiny", "SubnetId": subnet}
    [made] = ec2.run_instances(**asked, **more)["Instances"]
    isthmus.wait(ec2, made["InstanceId"], "running")
    return made


def test_where_there_are_no_public_addresses_a_subnet_cannot_give_them(isthmus: Isthmus, ec2: Any) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]

    with pytest.raises(ClientError, match="UnsupportedOperation.*public addresses"):
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    assert ec2.describe_subnets()["Subnets"][0]["MapPublicIpOnLaunch"] is False
    launched_in(isthmus, ec2, subnet)


def test_elsewhere_it_gives_one_by_static_nat_which_goes_with_the_instance(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False) as isthmus:
        ec2 = isthmus.client()
        vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.1.0/24")["Subnet"]["SubnetId"]
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})

        made = launched_in(isthmus, ec2, subnet)

        [address] = [one for _, one in isthmus.emulated.things["address"].values() if one.get("isstaticnat")]
        assert made["PublicIpAddress"] == address["ipaddress"]
        ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
        isthmus.wait(ec2, made["InstanceId"], "terminated")
        assert [] == [one for _, one in isthmus.emulated.things["address"].values() if not one.get("issourcenat")]
