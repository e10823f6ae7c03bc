"""An instance with everything it names already turned into EC2's ids and names: what `render` needs and no more.

Faces compare equal when they would render alike, which is what the render memo stands on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from isthmus.context import Context
from isthmus.core import instances
from isthmus.core.ids import Kind, adopt
from isthmus.core.instances import Instance
from isthmus.core.names import Names
from isthmus.model import Server


class Face(NamedTuple):
    id: str
    account: str
    instance: Instance
    zone: str
    zone_id: str
    flavor: str
    cpus: int
    image: str
    kernel: str
    ramdisk: str
    network: str
    subnet: str
    private_name: str
    public_name: str

    @property
    def server(self) -> Server:
        return self.instance.server

    @property
    def private_address(self) -> str:
        return self.server.ports[0].address if self.server.ports else ""

    @property
    def public_address(self) -> str:
        return self.instance.address.noun.address if self.instance.address else ""

    @property
    def port(self) -> str:
        return adopt(Kind.PORT, self.instance.cloud, self.server.ports[0].native)

    @property
    def attachment(self) -> str:
        return adopt(Kind.ATTACHED_PORT, self.instance.cloud, self.server.ports[0].native)


class _Native(NamedTuple):
    """What a server says in its cloud's words; `launched` is the image it was launched by, in EC2's."""

    cloud: str
    zone: str
    flavor: str
    image: str
    kernel: str
    ramdisk: str
    network: str
    subnet: str
    launched: str


class _Common(NamedTuple):
    """The same in EC2's words: the part of a face, in its order, that servers of one kind and place share."""

    zone: str
    zone_id: str
    flavor: str
    cpus: int
    image: str
    kernel: str
    ramdisk: str
    network: str
    subnet: str


def faces(cx: Context, ids: Collection[str] | None = None) -> Iterator[Face]:
    """Instances in their order, ready to be rendered."""
    look = Look(cx)
    return (look.face(one) for one in instances.find(cx, ids))


class Look:
    """Makes faces. What many servers have in common is looked up once a request."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._names = Names(cx)
        self._common: dict[_Native, _Common] = {}

    def face(self, one: Instance) -> Face:
        server = one.server
        port = server.ports[0] if server.ports else None
        native = _Native(
            one.cloud,
            server.zone,
            server.flavor,
            server.image,
            server.kernel,
            server.ramdisk,
            port.network if port else "",
            port.subnet if port else "",
            one.launch.image,
        )
        common = self._common.get(native) or self._look_up(native)
        private = self._names.private(port.address) if port else ""
        return Face(one.id, one.account, one, *common, private, one.address.noun.address if one.address else "")

    def _look_up(self, native: _Native) -> _Common:
        names, cloud = self._names, native.cloud
        zone = self._cx.world.place_of(cloud, native.zone).zone
        self._common[native] = _Common(
            zone,
            self._cx.world.zone_id(zone),
            names.flavor(cloud, native.flavor),
            names.cpus(cloud, native.flavor),
            native.launched or names.image(cloud, native.image),
            names.kernel(cloud, native.kernel),
            names.ramdisk(cloud, native.ramdisk),
            names.network(cloud, native.network),
            names.subnet(cloud, native.subnet),
        )
        return self._common[native]
