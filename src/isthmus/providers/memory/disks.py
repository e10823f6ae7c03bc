"""How volumes hang on servers; shared by the families compute, volumes and images."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from isthmus.errors import Conflict, Invalid
from isthmus.model import Attachment, AttachmentState, Snapshot, SnapshotState, Volume, VolumeState
from isthmus.providers.memory.world import Tenant, World

DEFAULT_TYPE = "standard"


def usable_snapshot(world: World, tenant: Tenant, native: str) -> Snapshot:
    """A completed snapshot that the tenant may use; NotFound or Conflict."""
    snapshot = world.snapshots.get(tenant.name, native)
    if snapshot.state is not SnapshotState.COMPLETED:
        raise Conflict("snapshot", native, f"the snapshot {native} is {snapshot.state}")
    return snapshot


def fitting_size(asked: int, least: int) -> int:
    """`asked`, or `least` for 0; Invalid if it is too small."""
    size = asked or least
    if size < max(1, least):
        raise Invalid(f"a size of {asked} GiB is less than {max(1, least)} GiB", "size")
    return size


def attach(world: World, tenant: Tenant, volume: Volume, link: Attachment) -> None:
    """Hang a volume on a server: attaching now, attached when settled."""
    tenant.volumes.put(replace(volume, state=VolumeState.IN_USE, attachments=(link,)))
    tenant.devices.setdefault(link.server, {})[link.device] = volume.native

    def attached(_: datetime) -> None:
        current = link_of(tenant, volume.native, link.server)
        if current and current.state is AttachmentState.ATTACHING and current.since == link.since:
            _relink(tenant, volume.native, replace(current, state=AttachmentState.ATTACHED))

    world.later(link.since, attached)


def detach(world: World, tenant: Tenant, volume: Volume, now: datetime) -> None:
    [link] = volume.attachments
    _relink(tenant, volume.native, replace(link, state=AttachmentState.DETACHING))
    world.later(now, lambda _: free(tenant, volume.native, link.server))


def begin_release(tenant: Tenant, server: str) -> None:
    """A server goes: its volumes begin to leave it, or to go with it."""
    for native in tenant.devices.get(server, {}).values():
        volume = tenant.volumes.get(native)
        [link] = volume.attachments
        if link.state is AttachmentState.DETACHING:
            continue
        state = VolumeState.DELETING if link.delete_with_server else volume.state
        leaving = replace(link, state=AttachmentState.DETACHING)
        tenant.volumes.put(replace(volume, state=state, attachments=(leaving,)))


def end_release(tenant: Tenant, server: str) -> None:
    """A server is gone: its volumes are free, or gone with it."""
    for native in list(tenant.devices.get(server, {}).values()):
        if tenant.volumes.get(native).state is VolumeState.DELETING:
            tenant.volumes.drop(native)
        else:
            free(tenant, native, server)
    tenant.devices.pop(server, None)


def free(tenant: Tenant, native: str, server: str) -> None:
    """Take a volume off a server, if it is still on it."""
    link = link_of(tenant, native, server)
    if link is None:
        return
    volume = tenant.volumes.get(native)
    tenant.volumes.put(replace(volume, state=VolumeState.AVAILABLE, attachments=()))
    del tenant.devices[server][link.device]


def link_of(tenant: Tenant, native: str, server: str) -> Attachment | None:
    volume = tenant.volumes.find(native)
    links = volume.attachments if volume else ()
    return next((link for link in links if link.server == server), None)


def change_link(tenant: Tenant, native: str, server: str, *, delete_with_server: bool) -> None:
    """Say what becomes of the volume with its server; Conflict if it is not on it."""
    volume = tenant.volumes.get(native)
    link = link_of(tenant, native, server)
    if link is None:
        raise Conflict("volume", native, f"the volume {native} is not attached to the server {server}")
    links = (replace(link, delete_with_server=delete_with_server),)
    tenant.volumes.put(replace(volume, attachments=links))


def _relink(tenant: Tenant, native: str, link: Attachment) -> None:
    tenant.volumes.put(replace(tenant.volumes.get(native), attachments=(link,)))
