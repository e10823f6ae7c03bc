"""An instance with everything it names already turned into EC2's ids and names: what `render` needs and no more.

Faces compare equal when they would render alike, which is what the render memo stands on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from isthmus.aws.ec2.portfaces import PortFace
from isthmus.context import Context
from isthmus.core import addresses, firewalls, instances
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance
from isthmus.core.names import Names, unknown
from isthmus.core.ports import OWNER, port_id
from isthmus.core.registry import Found, same, warm
from isthmus.model import Address, Port, Server


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
    ports: tuple[PortFace, ...]

    @property
    def server(self) -> Server:
        return self.instance.server

    @property
    def private_address(self) -> str:
        return self.server.ports[0].address if self.server.ports else ""

    @property
    def private_name(self) -> str:
        return self.ports[0].name(self.private_address) if self.ports else ""

    @property
    def public_address(self) -> str:
        return self.instance.address.noun.address if self.instance.address else ""


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
    warm(cx, *instances.reads(cx, ids), *unknown(cx))
    look = Look(cx)
    return (look.face(one) for one in instances.find(cx, ids))


class Look:
    """Makes faces. What many servers have in common is looked up once a request, and a face is made once."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._names = Names(cx)
        self._common: dict[_Native, _Common] = {}
        self._walls = firewalls.seen(cx).by_native
        self._notes = cx.view().of_kind(Kind.PORT)
        self._made = self._remembered()

    def _remembered(self) -> dict[str, Face]:
        """The faces made so far, while what they are made of besides their instances stands."""
        memo = self._cx.world.memo
        key, sources = (self._cx.account, "faces"), self._names.sources
        known = memo.get(key)
        most = 2 * len(self._cx.view().of_kind(Kind.SERVER)) + 1000
        if isinstance(known, _Made) and same(known.sources, sources) and len(known.faces) < most:
            return known.faces
        made = memo[key] = _Made(sources, {})
        return made.faces

    def face(self, one: Instance) -> Face:
        known = self._made.get(one.id)
        if known is not None and known.instance is one:
            return known
        face = self._made[one.id] = self._face(one)
        return face

    def _face(self, one: Instance) -> Face:
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
        ports = tuple(self.port(one.cloud, each, one.addresses) for each in server.ports)
        return Face(one.id, one.account, one, *common, ports)

    def port(self, cloud: str, port: Port, public: Sequence[Found[Address]]) -> PortFace:
        """A port, with the public addresses that it or another of its server answers."""
        said = self._notes[known].data if self._notes and (known := port_id(cloud, port)) in self._notes else {}
        return PortFace(
            self._cx.account,
            cloud,
            port,
            self._names.network(cloud, port.network),
            self._names.subnet(cloud, port.subnet),
            self._names.zone(cloud, port.subnet),
            self._names.domain,
            tuple(wall for native in port.firewalls if (wall := self._walls.get((cloud, native)))),
            tuple(public),
            said.get("description", ""),
            said.get(OWNER, "interface"),
        )

    def public(self) -> dict[tuple[str, str], list[Found[Address]]]:
        """The public addresses that each port answers."""
        found: dict[tuple[str, str], list[Found[Address]]] = {}
        for one in addresses.index(self._cx):
            if one.noun.port:
                found.setdefault((one.cloud, one.noun.port), []).append(one)
        return found

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


class _Made(NamedTuple):
    sources: tuple[object, ...]
    faces: dict[str, Face]
