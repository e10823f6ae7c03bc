"""Images: imported ones boot from their disk, made ones hold what was on the server, tricks are refused."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from isthmus.errors import Conflict, Denied, Invalid
from isthmus.model import Direction, Image, ImageDisk, ImageKind, ImageState, Rule, ServerState
from isthmus.providers import DiskSpec, ImageSpec, ImportSpec, SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local
from isthmus.providers.local.cloud import LocalSession
from isthmus.providers.local.layout import first_firewall

from .conftest import ZONE, World, boot_sector, until

qemu = pytest.mark.qemu
SSH = Rule(Direction.INGRESS, "tcp", 22, 22, cidr="0.0.0.0/0")


def imported(session: LocalSession, spec: ImportSpec) -> Image:
    image = session.images.import_image(spec)
    return (
        until(lambda: next((one for one in session.images.list_images([image.native]) if one.state != "pending"), None))
        or image
    )


def qemu_img(*arguments: str | Path) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True)


@qemu
@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "vpc"])
def test_an_imported_disk_boots(world: World, tmp_path: Path, kind: str) -> None:
    raw, file = tmp_path / "disk.raw", tmp_path / f"disk.{kind}"
    raw.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    if kind == "raw":
        file = raw
    else:
        qemu_img("convert", "-f", "raw", "-O", kind, raw, file)

    image = imported(world.session, ImportSpec("import", "mine", file, kind))
    file.unlink()
    assert ImageState.AVAILABLE is image.state
    assert (1, "/dev/sda1") == (image.disks[0].size, image.root_device)
    server = world.launched("first", ready=False, image=image.native)

    assert "booted from my own disk" in world.says(server.native, b"login: ")


@qemu
def test_an_image_of_a_server_has_what_was_on_its_disk(world: World) -> None:
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server = world.launched("first")
    address = world.address(server.native)
    world.ssh(address, "echo written >/root/file")  # not synced: the shutdown has to do it

    image = world.session.images.create_image(ImageSpec("image", "mine", server=server.native, snapshot_refs=("s",)))
    assert ImageState.PENDING is image.state
    until(lambda: world.session.images.list_images([image.native])[0].state is ImageState.AVAILABLE)
    world.says(server.native, b"tiny: ready", times=2)
    assert "written" == world.ssh(address, "cat /root/file")
    [held] = world.session.addresses.list_addresses()
    world.session.compute.delete_server(server.native)
    until(lambda: not world.session.compute.list_servers())

    copy = world.launched("second", image=image.native)
    world.session.addresses.associate_address(held.native, copy.ports[0].native)
    assert "written" == world.ssh(address, "cat /root/file")


@qemu
def test_a_server_boots_the_kernel_of_ones_choice_without_a_ramdisk(world: World, tmp_path: Path) -> None:
    session = world.session
    [builtin] = session.images.list_images(["kernel-tiny"])
    record = world.cloud.base.images.raw(builtin.native)
    assert record
    file = world.cloud.base.blob(record.blob)
    kernel = imported(session, ImportSpec("kernel", "my kernel", file, "raw", ImageKind.KERNEL))
    disk = ImageDisk("/dev/sda1", 1, "snapshot-tiny")
    image = session.images.create_image(ImageSpec("image", "no ramdisk", disks=(disk,), kernel=kernel.native))

    server = world.launched("first", image=image.native)

    assert (kernel.native, "") == (server.kernel, server.ramdisk)
    assert "Linux version" in world.says(server.native, b"tiny: ready")
    chosen = world.launched("second", ready=False, kernel=kernel.native)
    assert (kernel.native, "ramdisk-tiny") == (chosen.kernel, chosen.ramdisk)


@qemu
def test_a_volume_outlives_what_it_was_made_of(world: World) -> None:
    session = world.session
    server = world.launched("first")
    [root] = session.volumes.list_volumes()
    snapshot = session.volumes.create_snapshot(SnapshotSpec("snapshot", root.native))
    until(lambda: session.volumes.list_snapshots([snapshot.native])[0].progress == 100)
    disk = ImageDisk("/dev/sda1", 0, snapshot.native)
    image = session.images.create_image(
        ImageSpec("image", "mine", disks=(disk,), kernel="kernel-tiny", ramdisk="ramdisk-tiny")
    )
    with pytest.raises(Conflict):
        session.volumes.delete_snapshot(snapshot.native)
    copy = world.launched("second", image=image.native)
    session.compute.delete_server(server.native)
    session.images.delete_image(image.native)
    session.volumes.delete_snapshot(snapshot.native)
    blob = world.cloud.base.blob(f"{snapshot.native}.qcow2")
    assert blob.exists()

    session.compute.stop_server(copy.native)
    world.wait(copy.native, ServerState.STOPPED)
    session.compute.start_server(copy.native)
    world.says(copy.native, b"tiny: ready", times=2)
    session.compute.delete_server(copy.native)
    until(lambda: not session.compute.list_servers())
    assert not blob.exists()


def test_the_built_in_images_are_public_and_nobodys(world: World) -> None:
    names = {image.native: image for image in world.session.images.list_images()}

    assert {"image-tiny", "kernel-tiny", "ramdisk-tiny"} <= set(names)
    assert all(image.public and image.owner == "" for image in names.values())
    with pytest.raises(Denied):
        world.session.images.delete_image("image-tiny")
    with pytest.raises(Denied):
        world.session.images.share_image("kernel-tiny", public=False, tenants=())


def refuse(cloud: Local, file: Path, kind: str) -> None:
    with pytest.raises(Invalid) as refused:
        cloud.session("acme").images.import_image(ImportSpec("ref", "bad", file, kind))
    assert str(file.parent) not in str(refused.value)
    assert [] == [image for image in cloud.session("acme").images.list_images() if image.owner]
    assert [] == list(cloud.session("acme").volumes.list_snapshots(["nothing"]))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the host that no image may lead to."""
    file = tmp_path / "secret"
    file.write_bytes(b"secret".ljust(1 << 16, b"."))
    return file


def test_an_image_with_a_backing_file_is_refused(quiet: Local, tmp_path: Path, secret: Path) -> None:
    file = tmp_path / "image"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", secret, file, "1G")
    refuse(quiet, file, "qcow2")


def test_an_image_with_a_data_file_is_refused(quiet: Local, tmp_path: Path, secret: Path) -> None:
    file = tmp_path / "image"
    data = tmp_path / "data"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", file, "64k")
    data.unlink()
    data.symlink_to(secret)
    refuse(quiet, file, "qcow2")


def test_an_encrypted_image_is_refused(quiet: Local, tmp_path: Path) -> None:
    file = tmp_path / "image"
    secret = ["--object", "secret,id=s,data=abc", "-o", "encrypt.format=aes,encrypt.key-secret=s"]
    qemu_img("create", "-f", "qcow2", *secret, file, "1M")
    refuse(quiet, file, "qcow2")


def test_a_vmdk_that_names_other_files_is_refused(quiet: Local, tmp_path: Path, secret: Path) -> None:
    file = tmp_path / "image"
    lines = ["# Disk DescriptorFile", "version=1", "CID=12345678", "parentCID=ffffffff", 'createType="monolithicFlat"']
    lines += [f'RW 128 FLAT "{secret}" 0', "#DDB", 'ddb.virtualHWVersion = "4"', 'ddb.adapterType = "ide"']
    file.write_text("\n".join([*lines, ""]))
    refuse(quiet, file, "vmdk")


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vpc", "raw"])
def test_a_file_of_another_format_is_refused(quiet: Local, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"" if kind == "raw" else b"this is not a disk" * 1000)
    refuse(quiet, file, kind)


def test_a_file_that_is_not_there_is_refused(quiet: Local, tmp_path: Path) -> None:
    refuse(quiet, tmp_path / "nothing", "raw")
    refuse(quiet, tmp_path / "image", "iso")


def test_a_raw_file_is_raw_whatever_it_looks_like(quiet: Local, tmp_path: Path, secret: Path) -> None:
    file = tmp_path / "image"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", secret, file, "1G")
    session = quiet.session("acme")

    image = imported(session, ImportSpec("ref", "raw", file, "raw"))

    assert (ImageState.AVAILABLE, 1) == (image.state, image.disks[0].size)
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE, snapshot=image.disks[0].snapshot))
    raw = tmp_path / "read"
    qemu_img("convert", "-f", "qcow2", "-O", "raw", quiet.base.disk(volume.native), raw)
    assert raw.read_bytes()[:4] == b"QFI\xfb"
    assert b"secret" * 2 not in raw.read_bytes()


def test_a_deleted_import_leaves_no_file(quiet: Local, tmp_path: Path) -> None:
    file = tmp_path / "kernel"
    file.write_bytes(b"kernel")
    session = quiet.session("acme")
    image = imported(session, ImportSpec("ref", "kernel", file, "raw", ImageKind.KERNEL))
    assert quiet.base.blob(image.native).read_bytes() == b"kernel"

    session.images.delete_image(image.native)

    assert not quiet.base.blob(image.native).exists()


def test_a_disk_of_a_spec_needs_what_its_image_needs(world: World) -> None:
    spec = world.spec("first")
    small = replace(spec, disks=(DiskSpec("root", "/dev/sda1", 0, root=True), DiskSpec("x", "/dev/sdb", 0)))
    with pytest.raises(Invalid):
        world.session.compute.create_server(small)
    assert [] == list(world.session.volumes.list_volumes())
