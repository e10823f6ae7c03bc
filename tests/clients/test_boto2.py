"""boto 2.49, the library of a decade of scripts: its newest and its oldest signature."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from served import Account, eventually

pytestmark = pytest.mark.clients

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    boto = pytest.importorskip("boto", reason="boto 2.49 is not installed")
    from boto.ec2.blockdevicemapping import BlockDeviceMapping, BlockDeviceType
    from boto.ec2.regioninfo import RegionInfo
    from boto.exception import EC2ResponseError
    from boto.vpc import VPCConnection

SIGNATURES = {"sigv4": ["hmac-v4"], "sigv2": ["ec2"]}
PATHS = ("/", "/services/Cloud", "/services/Eucalyptus")


def connection(account: Account, signature: str, path: str = "/") -> Any:
    """A connection as old scripts for private clouds make it."""

    class Connection(VPCConnection):  # type: ignore[misc, valid-type]
        def _required_auth_capability(self) -> list[str]:
            return SIGNATURES[signature]

    return Connection(
        account.access_key,
        account.secret,
        is_secure=False,
        region=RegionInfo(name="mycloud", endpoint="127.0.0.1"),
        port=account.port,
        path=path,
    )


@pytest.fixture(params=SIGNATURES)
def old(account: Account, request: pytest.FixtureRequest) -> Iterator[Any]:
    made = connection(account, request.param)
    yield made
    made.close()


def test_a_whole_life(old: Any, image: str) -> None:
    key = old.create_key_pair("mine")
    assert key.material.startswith("-----BEGIN RSA PRIVATE KEY-----")
    group = old.create_security_group("web", "for the web")
    assert group.authorize("tcp", 80, 80, "0.0.0.0/0")
    assert group.authorize(src_group=group)

    mapping = BlockDeviceMapping()
    mapping["/dev/sdf"] = BlockDeviceType(size=1, delete_on_termination=True)
    reservation = old.run_instances(
        image, key_name="mine", security_groups=["web"], instance_type="m1.small", user_data="#!/bin/sh\n",
        block_device_map=mapping,
    )  # fmt: skip
    [instance] = reservation.instances
    eventually(instance.update, lambda state: state == "running")
    instance.add_tag("Name", "old")
    assert [instance.id] == [one.id for one in old.get_only_instances(filters={"tag:Name": "old"})]
    assert instance.id in instance.get_console_output().output.decode()
    assert "m1.small" == instance.get_attribute("instanceType")["instanceType"]
    assert [instance.id] == [one.id for one in old.get_all_instance_status()]
    assert ["web"] == [one.name for one in instance.groups]

    volume = old.create_volume(1, instance.placement)
    eventually(volume.update, lambda state: state == "available")
    assert volume.attach(instance.id, "/dev/sdg")
    eventually(lambda: (volume.update(), volume.attachment_state())[1], lambda state: state == "attached")
    snapshot = volume.create_snapshot("as it was")
    eventually(lambda: (snapshot.update(), snapshot.status)[1], lambda state: state == "completed")
    assert volume.detach()
    eventually(volume.update, lambda state: state == "available")
    assert volume.delete()
    assert snapshot.delete()

    address = old.allocate_address(domain="vpc")
    assert old.associate_address(instance.id, allocation_id=address.allocation_id)
    [seen] = old.get_all_addresses(allocation_ids=[address.allocation_id])
    assert instance.id == seen.instance_id
    assert old.disassociate_address(association_id=seen.association_id)
    assert address.release()

    assert instance.reboot()
    instance.stop()
    eventually(instance.update, lambda state: state == "stopped")
    assert instance.modify_attribute("instanceType", "m1.medium")
    instance.start()
    eventually(instance.update, lambda state: state == "running")
    copy = instance.create_image("copied", no_reboot=True)
    eventually(lambda: old.get_image(copy).state, lambda state: state == "available")
    assert old.deregister_image(copy, delete_snapshot=True)
    instance.terminate()
    eventually(instance.update, lambda state: state == "terminated")
    assert group.revoke("tcp", 80, 80, "0.0.0.0/0")
    assert group.delete()
    assert key.delete()


def test_all_listings_are_understood(old: Any) -> None:
    assert ["us-east-1"] == [one.name for one in old.get_all_regions()]
    assert old.get_all_zones()
    assert all(one.id.startswith("ami-") for one in old.get_all_images(filters={"image-type": "machine"}))
    assert old.get_all_kernels()
    assert old.get_all_ramdisks()
    assert ["default"] == [one.name for one in old.get_all_security_groups()]
    [network] = old.get_all_vpcs()
    assert network.id.startswith("vpc-")
    assert network.is_default
    assert {network.id} == {one.vpc_id for one in old.get_all_subnets()}
    assert [] == old.get_all_reservations()
    assert [] == old.get_all_volumes()
    assert [] == old.get_all_tags()
    assert {one.attribute_name for one in old.describe_account_attributes()} >= {"supported-platforms"}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_path_of_older_clouds_is_served(account: Account, signature: str, path: str) -> None:
    made = connection(account, signature, path)
    try:
        assert ["us-east-1"] == [one.name for one in made.get_all_regions()]
    finally:
        made.close()


def test_errors_are_understood(old: Any) -> None:
    with pytest.raises(EC2ResponseError) as refused:
        old.get_only_instances(["i-12345678"])

    assert "InvalidInstanceID.NotFound" == refused.value.error_code
    assert refused.value.request_id
