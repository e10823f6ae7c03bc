"""The rules I: images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import Denied, Invalid, NotFound
from isthmus.model import Image, ImageDisk, ImageKind, ImageState
from isthmus.providers import Capability, Cloud, DiskSpec, ImageSpec, ImportSpec, ServerSpec

from .clouds import CLOUDS
from .conftest import Base
from .kit import Maker, Patience, refused, word

pytestmark = pytest.mark.needs("images")
OF_SERVER = pytest.mark.needs("volumes", Capability.IMAGE_OF_SERVER, Capability.SNAPSHOT_ATTACHED)
OF_SNAPSHOT = pytest.mark.needs("volumes", Capability.IMAGE_OF_SNAPSHOT)
SHARE = pytest.mark.needs("volumes", Capability.IMAGE_OF_SNAPSHOT, Capability.IMAGE_SHARE)


SNAPSHOTS_TOO = pytest.mark.needs(Capability.IMAGE_SHARE_SNAPSHOTS)


@pytest.fixture
def shareable(cloud: Cloud, made: Maker, tmp_path: Path) -> str:
    """An image with data of its own where the cloud takes one, as some cannot share others."""
    if Capability.IMAGE_IMPORT in cloud.lacks:
        return made.image().native
    file = tmp_path / "disk.raw"
    file.write_bytes(bytes(1 << 20))
    return made.imported(ImportSpec(word(), word(), file, "raw")).native


def image_of(session: Any, native: str) -> Image:
    [found] = session.images.list_images([native])
    return found  # type: ignore[no-any-return]


def refs_of(session: Any, image: Image) -> list[str]:
    """The refs of the snapshots of an image's disks, by device."""
    disks = sorted(image.disks, key=lambda disk: disk.device)
    refs = {one.native: one.ref for one in session.volumes.list_snapshots()}
    return [refs[disk.snapshot] for disk in disks if disk.snapshot]


def test_there_is_a_public_machine_image_with_a_root_disk(session: Any) -> None:
    """I1"""
    machines = [
        one
        for one in session.images.list_images()
        if one.public and one.kind is ImageKind.MACHINE and one.state is ImageState.AVAILABLE
    ]

    assert machines
    assert all(one.root_device in {disk.device for disk in one.disks} for one in machines)


@OF_SERVER
def test_an_image_of_a_server_has_the_servers_disks(
    base: Base, running: str, session: Any, made: Maker, patience: Patience
) -> None:
    """I2"""
    refs = (word(), word())

    image = made.image(server=running, snapshot_refs=refs, reboot=False)

    assert {disk.device for disk in base.spec.disks} == {disk.device for disk in image.disks}
    assert list(refs) == refs_of(session, image)
    assert (base.first.root_device, patience.candidate.tenants[0]) == (image.root_device, image.owner)


@OF_SERVER
def test_an_image_of_a_server_leaves_out_what_it_is_told_to(
    base: Base, running: str, session: Any, made: Maker
) -> None:
    """I3"""
    data = base.spec.disks[1].device
    refs = (word(),)

    image = made.image(server=running, without=(data,), snapshot_refs=refs, reboot=False)

    assert [base.spec.disks[0].device] == [disk.device for disk in image.disks]
    assert list(refs) == refs_of(session, image)


@OF_SERVER
def test_the_disks_of_an_image_of_a_server_can_be_changed_and_added_to(
    base: Base, running: str, session: Any, made: Maker
) -> None:
    """I4"""
    root, data = (disk.device for disk in base.spec.disks)
    snapshot = made.snapshot()
    changed = ImageDisk(root, 5, delete_with_server=False)
    replaced = ImageDisk(data, 2, snapshot.native)
    added = ImageDisk("/dev/sdx", 3)
    refs = (word(),)

    image = made.image(server=running, disks=(changed, replaced, added), snapshot_refs=refs, reboot=False)

    disks = {disk.device: disk for disk in image.disks}
    assert {root: 5, data: 2, "/dev/sdx": 3} == {device: disk.size for device, disk in disks.items()}
    assert (snapshot.native, "") == (disks[data].snapshot, disks["/dev/sdx"].snapshot)
    assert disks[root].snapshot not in ("", snapshot.native)
    assert not disks[root].delete_with_server


@OF_SNAPSHOT
def test_an_image_of_a_snapshot_has_the_disks_asked_for(made: Maker) -> None:
    """I5"""
    snapshot = made.snapshot(volume=made.used(size=2).native).native
    blank = ImageDisk("/dev/sdb", 1)

    image = made.image(disks=(ImageDisk("/dev/sda1", 0, snapshot), blank))

    assert [("/dev/sda1", 2, snapshot), ("/dev/sdb", 1, "")] == [
        (disk.device, disk.size, disk.snapshot) for disk in image.disks
    ]
    assert (image.root_device, image.kind) == ("/dev/sda1", ImageKind.MACHINE)
    with refused(Invalid, field="size"):
        made.image(disks=(ImageDisk("/dev/sda1", 1, snapshot),))


@OF_SNAPSHOT
@pytest.mark.parametrize("disks", [(), (ImageDisk("/dev/sda1", 1),)], ids=["none", "blank"])
def test_an_image_of_nothing_is_invalid(disks: tuple[ImageDisk, ...], session: Any) -> None:
    """I6"""
    with pytest.raises(Invalid):
        session.images.create_image(ImageSpec(word(), word(), disks=disks))


@pytest.mark.needs("volumes", Capability.IMAGE_OF_SNAPSHOT, Capability.IMAGE_OF_SERVER)
def test_an_image_of_an_unknown_server_or_snapshot_is_not_found(made: Maker) -> None:
    """I7"""
    with refused(NotFound, kind="server"):
        made.image(server="no-such-server", snapshot_refs=(word(), word()))
    with refused(NotFound, kind="snapshot"):
        made.image(disks=(ImageDisk("/dev/sda1", 1, "no-such-snapshot"),))


@OF_SNAPSHOT
def test_the_description_of_an_image_can_be_changed(session: Any, made: Maker) -> None:
    """I8"""
    native = made.image(description="before").native
    assert image_of(session, native).description == "before"

    session.images.describe_image(native, "after")

    assert image_of(session, native).description == "after"


@SHARE
def test_a_shared_image_is_seen_by_whom_it_is_shared_with(
    session: Any, other: Any, shareable: str, patience: Patience
) -> None:
    """I9"""
    native = shareable
    seen = []
    for public, tenants in ((False, [patience.candidate.tenants[1]]), (False, []), (True, []), (False, [])):
        session.images.share_image(native, public=public, tenants=tenants)
        image = image_of(session, native)
        assert (public, tuple(tenants)) == (image.public, image.shared_with)
        seen.append(native in {one.native for one in other.images.list_images()})

    assert seen == [True, False, True, False]


@SHARE
def test_a_shared_image_is_its_owners_alone_to_change(
    session: Any, other: Any, shareable: str, patience: Patience
) -> None:
    """I10"""
    native = shareable
    session.images.share_image(native, public=False, tenants=[patience.candidate.tenants[1]])
    before = image_of(session, native)

    with pytest.raises(Denied):
        other.images.describe_image(native, "mine")
    with pytest.raises(Denied):
        other.images.share_image(native, public=True, tenants=[])
    with pytest.raises(Denied):
        other.images.delete_image(native)

    assert before == image_of(session, native)


@OF_SNAPSHOT
def test_a_deleted_image_is_gone_and_its_snapshots_stay(session: Any, made: Maker, patience: Patience) -> None:
    """I11"""
    image = made.image()

    session.images.delete_image(image.native)

    patience.gone(lambda: session.images.list_images(), image.native)
    assert session.volumes.list_snapshots([image.disks[0].snapshot])


@pytest.mark.needs(Capability.IMAGE_IMPORT)
def test_an_imported_image_becomes_available(tmp_path: Path, made: Maker, patience: Patience) -> None:
    """I12"""
    file = tmp_path / "disk.raw"
    with file.open("wb") as disk:
        disk.truncate((1 << 30) + 512)

    machine = made.imported(ImportSpec(word(), "a disk", file, "raw"))
    kernel = made.imported(ImportSpec(word(), "a kernel", file, "raw", kind=ImageKind.KERNEL))

    assert [(image.name, image.kind) for image in (machine, kernel)] == [
        ("a disk", ImageKind.MACHINE),
        ("a kernel", ImageKind.KERNEL),
    ]
    assert [disk.size for disk in machine.disks if disk.device == machine.root_device] == [2]


@pytest.mark.needs(Capability.IMAGE_URL)
def test_an_image_of_the_file_at_a_url_is_made_once(cloud: Cloud, session: Any, made: Maker) -> None:
    """I15"""
    url, ref = CLOUDS[cloud.name].url, word()
    if not url:
        pytest.skip("no file that the cloud can fetch is named")

    image = made.image(ref, url=url, name="fetched", description="from elsewhere")
    again = session.images.create_image(ImageSpec(ref, "fetched", url=url))

    assert ("fetched", "from elsewhere", ref, False) == (image.name, image.description, image.ref, image.public)
    assert image.native == again.native
    assert [(image.root_device, "")] == [(disk.device, disk.snapshot) for disk in image.disks]
    assert 1 <= image.disks[0].size


@SHARE
@SNAPSHOTS_TOO
@pytest.mark.boots
@pytest.mark.needs("compute", Capability.LAUNCH)
def test_a_shared_image_can_be_launched_with_all_its_disks(
    session: Any, made: Maker, theirs: Maker, patience: Patience, plain: ServerSpec
) -> None:
    """I13"""
    snapshots = (made.snapshot().native, made.snapshot().native)
    root, data = ImageDisk("/dev/sda1", 1, snapshots[0]), ImageDisk("/dev/sdb", 1, snapshots[1])
    image = made.image(disks=(root, data)).native
    session.images.share_image(image, public=False, tenants=[patience.candidate.tenants[1]])
    disks = (DiskSpec(word(), root.device, 1, root=True), DiskSpec(word(), data.device, 1, snapshot=data.snapshot))

    server = theirs.server(replace(plain, ref=word(), image=image, disks=disks))

    assert server.image == image
    volumes = {volume.ref: volume for volume in theirs.session.volumes.list_volumes()}
    assert volumes[disks[1].ref].snapshot == data.snapshot


@SHARE
@SNAPSHOTS_TOO
@pytest.mark.needs(Capability.IMAGE_COPY)
def test_a_copy_of_an_image_is_its_makers_own_and_outlives_it(
    session: Any, made: Maker, theirs: Maker, patience: Patience
) -> None:
    """I14"""
    snapshots = (made.snapshot().native, made.snapshot().native)
    root, data = ImageDisk("/dev/sda1", 2, snapshots[0]), ImageDisk("/dev/sdb", 1, snapshots[1])
    source = made.image(disks=(root, data))
    session.images.share_image(source.native, public=False, tenants=[patience.candidate.tenants[1]])
    refs, name = (word(), word()), word()

    copy = theirs.image(source=source.native, name=name, description="once more", snapshot_refs=refs)

    assert (name, "once more", patience.candidate.tenants[1]) == (copy.name, copy.description, copy.owner)
    assert (False, (), source.root_device) == (copy.public, copy.shared_with, copy.root_device)
    assert [("/dev/sda1", 2), ("/dev/sdb", 1)] == [(disk.device, disk.size) for disk in copy.disks]
    assert list(refs) == refs_of(theirs.session, copy)
    session.images.delete_image(source.native)
    for snapshot in snapshots:
        session.volumes.delete_snapshot(snapshot)
    assert ImageState.AVAILABLE is image_of(theirs.session, copy.native).state
    assert theirs.volume(size=0, snapshot=copy.disks[0].snapshot).size == 1
    with refused(NotFound, kind="image"):
        theirs.image(source="no-such-image")
