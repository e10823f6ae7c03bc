"""What volumes hold: of a guest that writes all the time, through snapshots, changes of size, and sudden deaths."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isthmus.errors import Conflict
from isthmus.model import AttachmentState, ImageState, Server, ServerState, SnapshotState, Volume, VolumeState
from isthmus.providers import DiskSpec, ImageSpec, ImportSpec, SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local, disks, process
from isthmus.providers.local.layout import first_firewall

from .conftest import FLAVORS, SSH, ZONE, World, boot_sector, until

pytestmark = pytest.mark.qemu
SECTOR = 512
FIRST, SECOND = "vol-000000000000a0001", "vol-000000000000a0002"
WRITER = b"""#!/bin/sh
# Numbered sectors, one after the other, first on one volume and then on the other; ACK: both are on their disks.
device() { for b in /sys/block/*; do grep -qs "$1" "$b/serial" && echo "/dev/${b##*/}"; done; }
while :; do
  a=$(device vol000000000000a0001) b=$(device vol000000000000a0002)
  [ -n "$a" ] && [ -n "$b" ] && break
  usleep 50000
done
put() { printf 'sector %010d' "$i" | dd of="$1" bs=512 seek="$i" conv=sync,notrunc,fsync 2>/dev/null; }
i=0
(while put "$a" && put "$b"; do echo "ACK $i" >/dev/console; i=$((i + 1)); done) &
"""

FAREWELL = b"""#!/bin/sh
cat >/etc/acpi/PWRF/00000080 <<'END'
#!/bin/sh
echo 'the guest has shut down' >/dev/vdb
sync
poweroff -f
END
echo LISTENS >/dev/console
"""
"""Writes to its second disk before it goes."""


def sectors(path: Path, scratch: Path) -> int:
    """How many numbered sectors a disk begins with; after the last there is none."""
    raw = scratch / f"{path.name}.raw"
    disks.run("dd", "-f", "qcow2", "-O", "raw", "bs=512", "count=16384", f"if={path}", f"of={raw}")
    content = raw.read_bytes()
    raw.unlink()
    found = [content[at : at + 17] for at in range(0, len(content), SECTOR)]
    count = sum(1 for _ in itertools.takewhile(lambda one: one != bytes(17), found))
    assert found[:count] == [b"sector %010d" % number for number in range(count)]
    assert not any(map(any, found[count:]))
    return count


def acknowledged(world: World, native: str) -> int:
    """How many sectors the guest has said to be on both disks."""
    said = re.findall(rb"ACK (\d+)\r", world.session.compute.console_output(native).output)
    return int(said[-1]) + 1 if said else 0


def writing(world: World) -> tuple[Server, Volume, Volume]:
    """A server whose guest writes to two volumes, and these."""
    world.metadata.user_data["acme,ltd"] = WRITER
    data = [DiskSpec(ref, device, 1) for ref, device in ((FIRST, "/dev/sdf"), (SECOND, "/dev/sdg"))]
    root = DiskSpec("root", "/dev/sda1", 0, root=True)
    server = world.launched("writer", ready=False, disks=(root, *data))
    until(lambda: acknowledged(world, server.native) > 3)
    volumes = {volume.ref: volume for volume in world.session.volumes.list_volumes()}
    return server, volumes[FIRST], volumes[SECOND]


def completed(world: World, snapshot: str) -> Path:
    """The file of a snapshot once it is complete."""
    until(lambda: world.session.volumes.list_snapshots([snapshot])[0].state is not SnapshotState.PENDING)
    assert SnapshotState.COMPLETED is world.session.volumes.list_snapshots([snapshot])[0].state
    record = world.cloud.base.snapshots.raw(snapshot)
    assert record
    return world.cloud.base.blob(record.blob)


def test_a_snapshot_of_a_writing_guest_is_of_one_moment(world: World, tmp_path: Path) -> None:
    server, first, _ = writing(world)

    before = acknowledged(world, server.native)
    snapshot = world.session.volumes.create_snapshot(SnapshotSpec("snapshot", first.native))
    held = sectors(completed(world, snapshot.native), tmp_path)
    until(lambda: acknowledged(world, server.native) > held)

    assert held >= before
    copy = world.session.volumes.create_volume(VolumeSpec("copy", 2, ZONE, snapshot=snapshot.native))
    assert held == sectors(world.cloud.base.disk(copy.native), tmp_path)


def test_an_image_of_a_running_server_has_all_its_disks_as_of_one_moment(world: World, tmp_path: Path) -> None:
    server, _, _ = writing(world)

    before = acknowledged(world, server.native)
    refs = ("root-of-image", "first-of-image", "second-of-image")
    spec = ImageSpec("image", "mine", server=server.native, snapshot_refs=refs, reboot=False)
    image = world.session.images.create_image(spec)
    until(lambda: world.session.images.list_images([image.native])[0].state is ImageState.AVAILABLE)

    snapshots = {disk.device: disk.snapshot for disk in image.disks}
    first, second = (sectors(completed(world, snapshots[at]), tmp_path) for at in ("/dev/sdf", "/dev/sdg"))
    assert first - second in (0, 1)
    assert second >= before
    assert world.session.compute.console_output(server.native).output.count(b"Linux version") <= 1


def test_with_a_server_go_the_disks_that_are_to(world: World) -> None:
    server, first, _ = writing(world)
    files = {volume.native: world.cloud.base.disk(volume.native) for volume in world.session.volumes.list_volumes()}
    world.session.volumes.set_delete_with_server(first.native, server.native, False)

    world.session.compute.delete_server(server.native)
    until(lambda: not world.session.compute.list_servers())

    [left] = world.session.volumes.list_volumes()
    assert (first.native, VolumeState.AVAILABLE) == (left.native, left.state)
    assert [first.native] == [native for native, path in files.items() if path.exists()]


@pytest.mark.parametrize("force", [False, True])
def test_a_guest_shuts_down_before_its_server_goes_but_not_by_force(world: World, tmp_path: Path, force: bool) -> None:
    world.metadata.user_data["acme,ltd"] = FAREWELL
    root = DiskSpec("root", "/dev/sda1", 0, root=True)
    server = world.launched("first", disks=(root, DiskSpec(FIRST, "/dev/sdf", 1, delete_with_server=False)))
    world.says(server.native, b"LISTENS")

    world.session.compute.delete_server(server.native, force=force)
    until(lambda: not world.session.compute.list_servers())

    [kept] = world.session.volumes.list_volumes()
    raw = tmp_path / "kept.raw"
    path = world.cloud.base.disk(kept.native)
    disks.run("dd", "-f", "qcow2", "-O", "raw", "bs=512", "count=1", f"if={path}", f"of={raw}")
    assert (b"the guest has shut down" in raw.read_bytes()) is not force


def test_a_guest_that_never_lets_go_of_a_volume_loses_it_by_force(world: World, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    session = world.session
    image = session.images.import_image(ImportSpec("import", "no operating system", raw, "raw"))
    until(lambda: session.images.list_images([image.native])[0].state is ImageState.AVAILABLE)
    server = world.launched("first", ready=False, image=image.native)
    world.says(server.native, b"login: ")
    volume = session.volumes.create_volume(VolumeSpec("volume", 1, ZONE))
    session.volumes.attach_volume(volume.native, server.native, "/dev/sdf")

    def now() -> Volume:
        [found] = session.volumes.list_volumes([volume.native])
        return found

    until(lambda: now().attachments[0].state is AttachmentState.ATTACHED)
    session.volumes.detach_volume(volume.native, server.native)
    time.sleep(2)
    world.cloud.mend()
    assert AttachmentState.DETACHING is now().attachments[0].state
    with pytest.raises(Conflict):
        session.volumes.delete_volume(volume.native)

    session.volumes.detach_volume(volume.native, server.native, force=True)
    until(lambda: now().state is VolumeState.AVAILABLE)
    with pytest.raises(Conflict, match="has not let go"):
        session.volumes.attach_volume(volume.native, server.native, "/dev/sdf")
    assert VolumeState.AVAILABLE is now().state
    assert disks.check(world.cloud.base.disk(volume.native)) == (0, 0)
    session.volumes.delete_volume(volume.native)
    assert ServerState.RUNNING is world.server(server.native).state


BUSY = """
import itertools, sys
from pathlib import Path
from isthmus.errors import Fault
from isthmus.model import Flavor
from isthmus.providers import SnapshotSpec, VolumeSpec
from isthmus.providers.local import Local

state, server, grown = sys.argv[1:]
cloud = Local("local", Path(state), ("us-east-1a",), [Flavor("nano", "nano", 1, 128)], accelerator="tcg")
volumes = cloud.session("acme,ltd").volumes
print("begun", flush=True)
for number in itertools.count():
    other = volumes.create_volume(VolumeSpec(f"other-{number}", 1, "us-east-1a")).native
    for step in (
        lambda: volumes.create_snapshot(SnapshotSpec(f"snapshot-{number}", grown)),
        lambda: volumes.attach_volume(other, server, f"/dev/sd{'hijklmnop'[number % 9]}"),
        lambda: volumes.resize_volume(grown, number + 2),
        lambda: volumes.resize_volume(other, number + 2),
        lambda: volumes.detach_volume(other, server),
    ):
        try:
            step()
        except Fault as fault:
            print(fault, flush=True)
"""


@pytest.mark.parametrize(("seconds", "networks"), [(0.4, False), (1.1, True), (2.3, True)])
def test_nothing_that_was_synced_is_lost_when_all_is_killed(
    world: World, tmp_path: Path, seconds: float, networks: bool
) -> None:
    world.session.firewalls.add_rules(first_firewall("acme,ltd"), [SSH])
    server, first, second = writing(world)
    address = world.address(server.native)
    base = world.cloud.base
    command = [sys.executable, "-c", BUSY, str(base.state), server.native, first.native]
    busy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert busy.stdout
        assert busy.stdout.readline() == "begun\n"
        time.sleep(seconds)
    finally:
        busy.kill()
        for pid, _ in list(process.machines(base.prefix)):
            os.kill(pid, signal.SIGKILL)
        for path in base.netd_directory.glob("*.pid") if networks else ():
            os.kill(int(path.read_text().split()[0]), signal.SIGKILL)
        busy.communicate()
    before = acknowledged(world, server.native)

    later = Local("local", base.state, (ZONE,), FLAVORS, accelerator="tcg")
    later.mend()
    until(lambda: ServerState.STOPPED is world.server(server.native).state)
    volumes = world.session.volumes
    until(lambda: all(one.state in (VolumeState.AVAILABLE, VolumeState.IN_USE) for one in volumes.list_volumes()))
    assert [] == [finding for finding in later.check(repair=True) if not finding.mended]
    assert [] == list(later.check())
    later.close()

    for volume in (first, second):
        assert sectors(base.disk(volume.native), tmp_path) >= before
    for snapshot in volumes.list_snapshots():
        if snapshot.volume == first.native and snapshot.state is SnapshotState.COMPLETED:
            assert sectors(completed(world, snapshot.native), tmp_path) <= sectors(base.disk(first.native), tmp_path)
    for volume in volumes.list_volumes():
        assert volume.size == disks.size(base.disk(volume.native))
    world.session.compute.start_server(server.native)
    world.says(server.native, b"tiny: ready", times=2)
    until(lambda: world.greeting(address).startswith(b"SSH-"))
    unused = [volume for volume in volumes.list_volumes() if not volume.attachments]
    for volume in unused:
        volumes.resize_volume(volume.native, volume.size + 1)
    for volume in unused[:8]:  # a machine has no place for all that a fast host has made
        volumes.attach_volume(volume.native, server.native, f"/dev/xvd{volume.native[-3:]}")
