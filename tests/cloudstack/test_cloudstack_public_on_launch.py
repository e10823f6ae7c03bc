"""Public addresses that a subnet gives to what is launched in it: where there are such, and where not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Around, Isthmus, fronted

from isthmus.aws.front import Front
from isthmus.providers.cloudstack.signing import Keys


class Forestalled(Around):
    """Whenever a certain command comes, somebody else has just done the same."""

    def __init__(self, isthmus: Isthmus, command: str) -> None:
        cloud = isthmus.real.begin_again()
        super().__init__(cloud._wire)
        self._isthmus, self._command, self.times = isthmus, command, 0
        cloud._wire = self
        isthmus.front = Front(isthmus.new_world())

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:
        if params["command"] == self._command:
            super().post(keys, params)
            self._isthmus.real.settle()
            self.times += 1
        return super().post(keys, params)


def public(isthmus: Isthmus) -> list[Any]:
    """The addresses that are not the routers' own."""
    return [one for _, one in isthmus.emulated.things["address"].values() if not one.get("issourcenat")]


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
        assert [] == public(isthmus)


def test_an_instance_ends_though_its_address_was_given_back_meanwhile(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False) as isthmus:
        ec2 = isthmus.client()
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
        made = launched_in(isthmus, ec2, subnet)
        assert 1 == len(public(isthmus))
        wire = Forestalled(isthmus, "disassociateIpAddress")

        ec2.terminate_instances(InstanceIds=[made["InstanceId"]])

        assert 1 == wire.times
        assert [] == public(isthmus)
        isthmus.wait(ec2, made["InstanceId"], "terminated")


def test_an_address_may_be_taken_from_its_instance_by_somebody_else_meanwhile(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=False) as isthmus:
        ec2 = isthmus.client()
        made = launched_in(isthmus, ec2, ec2.describe_subnets()["Subnets"][0]["SubnetId"])
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        associated = ec2.associate_address(AllocationId=address, InstanceId=made["InstanceId"])["AssociationId"]
        wire = Forestalled(isthmus, "disableStaticNat")

        ec2.disassociate_address(AssociationId=associated)

        assert 1 == wire.times
        assert not public(isthmus)[0]["isstaticnat"]
