"""Images of files that CloudStack fetches: the name says the format, and that the hypervisor and the zones."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import TENANTS, Emulated, Isthmus
from emulators.cloudstack.world import CUT, Refusal

from isthmus.errors import Fault, Invalid, Unsupported
from isthmus.model import ImageState
from isthmus.providers import ImageSpec

URL = "https://example.org/images/disk.qcow2"


def spec(url: str = URL, **said: Any) -> ImageSpec:
    return ImageSpec("ami-0123456789abcdef0", "fetched", url=url, **said)


@pytest.mark.parametrize(
    ("url", "format", "hypervisor"),
    [
        (URL, "QCOW2", "KVM"),
        ("http://example.org/disk.QCOW2?version=2", "QCOW2", "KVM"),
        ("http://example.org/disk.qcow2.bz2", "QCOW2", "KVM"),
        ("http://example.org/disk.img", "RAW", "KVM"),
        ("http://example.org/disk.vhd.gz", "VHD", "XenServer"),
        ("http://example.org/disk.ova", "OVA", "VMware"),
    ],
)
def test_the_name_says_the_format_and_the_hypervisor(
    stack: Emulated, session: Any, url: str, format: str, hypervisor: str
) -> None:
    stack.emulator.world.hypervisors = ("KVM", "VMware", "XenServer")
    made = session.images.create_image(spec(url))

    [(_, item)] = stack.emulator.world.things["template"].values()
    assert (format, hypervisor, url, made.native) == (item["format"], item["hypervisor"], item["url"], item["id"])
    assert not item["ispublic"]


@pytest.mark.parametrize("url", ["http://example.org/disk", "http://example.org/disk.iso", "http://example.org/.gz"])
def test_a_name_that_says_no_format_is_refused(stack: Emulated, session: Any, url: str) -> None:
    with pytest.raises(Invalid, match=r"\.qcow2"):
        session.images.create_image(spec(url))

    assert not stack.emulator.world.things["template"]


def test_a_format_that_no_hypervisor_takes_is_refused(stack: Emulated, session: Any) -> None:
    with pytest.raises(Unsupported, match="OVA: it has KVM"):
        session.images.create_image(spec("http://example.org/disk.ova"))

    assert not stack.emulator.world.things["template"]


def test_it_is_fetched_by_and_by_and_then_has_a_size(stack: Emulated, session: Any, other: Any) -> None:
    stack.emulator.world.job_seconds = 60
    made = session.images.create_image(spec(description="of elsewhere", sha256="ab" * 32))
    stack.emulator.world.pass_by(61)
    [there] = session.images.list_images([made.native])

    assert (ImageState.PENDING, ImageState.AVAILABLE) == (made.state, there.state)
    assert ("fetched", "of elsewhere", made.ref, TENANTS[0]) == (there.name, there.description, there.ref, there.owner)
    assert [("/dev/sda1", 2)] == [(disk.device, disk.size) for disk in there.disks]
    assert [] == other.images.list_images([made.native])


def test_what_cannot_be_fetched_has_failed_and_says_why(stack: Emulated, session: Any) -> None:
    stack.emulator.world.wrong_next("registerTemplate job", Refusal(530, "404 Not Found", 4250))
    made = session.images.create_image(spec())
    stack.settle()
    [there] = session.images.list_images([made.native])

    assert (ImageState.ERROR, "Failed to download: 404 Not Found") == (there.state, there.reason)
    session.images.delete_image(made.native)


def test_a_registration_whose_answer_is_lost_is_made_once(stack: Emulated, session: Any) -> None:
    stack.emulator.world.wrong_next("registerTemplate", CUT)
    with pytest.raises(Fault):
        session.images.create_image(spec())
    session.images.create_image(spec())

    assert 1 == len(stack.emulator.world.things["template"])


def test_an_image_location_is_a_url(isthmus: Isthmus, ec2: Any) -> None:
    made = ec2.register_image(Name="fetched", ImageLocation=URL, Description="of elsewhere", RootDeviceName="/dev/xvda")
    isthmus.real.settle()
    [image] = ec2.describe_images(ImageIds=[made["ImageId"]])["Images"]

    [disk] = image["BlockDeviceMappings"]
    assert ("available", "/dev/xvda", "of elsewhere") == (image["State"], image["RootDeviceName"], image["Description"])
    assert ("/dev/xvda", 2) == (disk["DeviceName"], disk["Ebs"]["VolumeSize"])
    run = ec2.run_instances(ImageId=made["ImageId"], InstanceType="Tiny", MinCount=1, MaxCount=1)
    assert 1 == len(run["Instances"])
    ec2.deregister_image(ImageId=made["ImageId"])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"ImageLocation": "ftp://example.org/disk.qcow2"}, "UnsupportedOperation"),
        ({"ImageLocation": "http://example.org/disk.zip"}, "InvalidParameterValue"),
        (
            {
                "ImageLocation": URL,
                "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": "snap-0123456789abcdef0"}}],
            },
            "InvalidParameterCombination",
        ),
    ],
)
def test_what_is_no_such_url_is_refused(isthmus: Isthmus, ec2: Any, asked: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.register_image(Name="refused", **asked)

    assert code == refused.value.response["Error"]["Code"]
    assert not isthmus.emulated.things["template"]
