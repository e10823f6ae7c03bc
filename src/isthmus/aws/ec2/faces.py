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


def faces(cx: Context, ids: Collection[str] | None = None) -> Iterator[Face]:
    """Instances in their order, ready to be rendered."""
    look = Look(cx)
    return (look.face(one) for one in instances.find(cx, ids))


class Look:
    """Makes faces; looks native ids up once a request."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._names = Names(cx)
        self._zone_ids = {zone: cx.world.zone_id(zone) for zone in cx.world.places}

    def face(self, one: Instance) -> Face:
        server, cloud, names = one.server, one.cloud, self._names
        port = server.ports[0] if server.ports else None
        zone = self._cx.world.place_of(cloud, server.zone).zone
        return Face(
            one.id,
            one.account,
            one,
            zone,
            self._zone_ids[zone],
            names.flavor(cloud, server.flavor),
            names.cpus(cloud, server.flavor),
            one.launch.image or names.image(cloud, server.image),
            names.kernel(cloud, server.kernel),
            names.ramdisk(cloud, server.ramdisk),
            names.network(cloud, port.network) if port else "",
            names.subnet(cloud, port.subnet) if port else "",
            names.private(port.address) if port else "",
            one.address.noun.address if one.address else "",
        )
