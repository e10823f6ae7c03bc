"""ISOs are images: they are seen, launched with a blank root disk, shared and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import cs
import pytest
from emulated_cloudstack import TENANTS, Emulated

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from isthmus.model import ImageState, ServerState
from isthmus.providers import DiskSpec, ServerSpec


@pytest.fixture(params=[True, False], ids=["groups", "vpcs"])
def stack(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    made = Emulated("stack", groups=request.param, volume_types={"fixed": "Thirty"})
    offerings = made.emulator.world.disk_offerings
    offerings.append({**offerings[1], "id": str(uuid4()), "name": "Thirty", "disksize": 30})
    yield made
    made.close()


def registered(stack: Emulated, **said: Any) -> str:
    """By another client, as its owner would."""
    [account] = [one for one in stack.emulator.world.accounts.values() if one.id == TENANTS[0]]
    client = cs.CloudStack(stack.emulator.url, account.api, account.secret, method="post")
    about = {"name": "installer", "displaytext": "an installer", "url": "http://example.org/installer.iso"}
    zone, system = stack.emulator.world.zones[0]["id"], stack.emulator.world.os_types[0]["id"]
    made = client.registerIso(**{**about, "zoneid": zone, "ostypeid": system, **said})
    return str((made.get("iso") or made["template"])["id"])


def spec(session: Any, image: str, size: int = 0, type: str = "") -> ServerSpec:
    flavor = session.compute.list_flavors()[0].native
    root = DiskSpec(f"vol-{uuid4().hex[:17]}", "/dev/sda1", size, type, root=True)
    return ServerSpec(f"i-{uuid4().hex[:17]}", "", image, flavor, "zone-1", (root,))


def test_an_iso_is_an_image_once_it_is_fetched(stack: Emulated, session: Any, other: Any) -> None:
    stack.emulator.world.job_seconds = 60
    native = registered(stack)

    [pending] = session.images.list_images([native])
    with pytest.raises(Conflict):
        session.compute.create_server(spec(session, native))
    stack.emulator.world.pass_by(61)
    [there] = session.images.list_images([native])

    assert (ImageState.PENDING, ImageState.AVAILABLE) == (pending.state, there.state)
    assert ("installer", "an installer", TENANTS[0]) == (there.name, there.description, there.owner)
    assert [("/dev/sda1", 8, "")] == [(one.device, one.size, one.snapshot) for one in there.disks]
    assert [] == other.images.list_images([native])


def test_an_iso_that_cannot_be_booted_is_no_image(stack: Emulated, session: Any) -> None:
    native = registered(stack, name="drivers", bootable="false")

    assert [] == session.images.list_images([native])
    with pytest.raises(NotFound):
        session.compute.create_server(spec(session, native))


@pytest.mark.parametrize(("size", "type", "made"), [(0, "", 8), (20, "", 20), (30, "fixed", 30)])
def test_a_server_of_an_iso_has_a_blank_root_disk(
    stack: Emulated, session: Any, size: int, type: str, made: int
) -> None:
    native = registered(stack)
    stack.settle()
    wanted = spec(session, native, size, type)
    if type:
        with pytest.raises(Invalid):
            session.compute.create_server(spec(session, native, made + 4, type))

    server = session.compute.create_server(wanted)
    stack.settle()

    [running] = session.compute.list_servers([server.native])
    [root] = session.volumes.list_volumes()
    assert (ServerState.RUNNING, native) == (running.state, running.image)
    assert (made, wanted.disks[0].ref, "") == (root.size, root.ref, root.snapshot)


def test_a_root_disk_of_an_iso_is_not_smaller_than_its_image_says(stack: Emulated, session: Any) -> None:
    native = registered(stack)
    stack.settle()

    with pytest.raises(Invalid, match="at least 8 GiB"):
        session.compute.create_server(spec(session, native, 7))


def test_a_zone_of_several_hypervisors_does_not_say_which_boots_an_iso(stack: Emulated, session: Any) -> None:
    native = registered(stack)
    stack.settle()
    stack.emulator.world.hypervisors = ("KVM", "XenServer")

    with pytest.raises(Unsupported, match="KVM and XenServer"):
        session.compute.create_server(spec(session, native))


def test_an_iso_is_described_shared_and_deleted(stack: Emulated, session: Any, other: Any) -> None:
    native = registered(stack)
    stack.settle()

    session.images.describe_image(native, "for installing")
    session.images.share_image(native, public=False, tenants=[TENANTS[1]])

    [seen] = other.images.list_images([native])
    assert ("for installing", (TENANTS[1],)) == (seen.description, session.images.list_images([native])[0].shared_with)
    with pytest.raises(Denied):
        other.images.delete_image(native)
    session.images.share_image(native, public=False, tenants=[])
    assert [] == other.images.list_images([native])
    session.images.delete_image(native)
    stack.settle()
    assert [] == session.images.list_images([native])


def test_who_has_no_isos_has_templates_all_the_same(stack: Emulated, session: Any) -> None:
    stack.emulator.world.denied.add(("User", "listisos"))

    images = session.images.list_images()

    assert ["community", "debian"] == sorted(one.name for one in images)
    session.compute.create_server(spec(session, images[0].native))
