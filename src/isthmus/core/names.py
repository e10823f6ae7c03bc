"""Ids and names for the native ids that servers carry, looked up once a request."""

from __future__ import annotations

from isthmus.context import Context
from isthmus.core import images, networks
from isthmus.core.ids import Kind
from isthmus.core.servers import compute
from isthmus.model import Flavor


def _flavors(cx: Context) -> list[object]:
    return [api.list_flavors() if api else () for api in (cx.session(cloud).compute for cloud in cx.world.clouds)]


NAMED = (images.index, networks.networks, networks.subnets, _flavors)
"""What all names are made of, to be read at the same time."""


class Names:
    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._images = images.index(cx)
        self._networks = networks.networks(cx)
        self._subnets = networks.subnets(cx)
        self._flavors: dict[str, dict[str, Flavor]] = {}

    def image(self, cloud: str, native: str) -> str:
        return self._images.id_of(Kind.IMAGE, cloud, native)

    def kernel(self, cloud: str, native: str) -> str:
        return self._images.id_of(Kind.KERNEL, cloud, native)

    def ramdisk(self, cloud: str, native: str) -> str:
        return self._images.id_of(Kind.RAMDISK, cloud, native)

    def network(self, cloud: str, native: str) -> str:
        return self._networks.id_of(Kind.NETWORK, cloud, native)

    def subnet(self, cloud: str, native: str) -> str:
        return self._subnets.id_of(Kind.SUBNET, cloud, native)

    def flavor(self, cloud: str, native: str) -> str:
        """The flavor's name; its native id if the cloud no longer has it."""
        found = self._flavor(cloud, native)
        return found.name if found else native

    def cpus(self, cloud: str, native: str) -> int:
        found = self._flavor(cloud, native)
        return found.cpus if found else 1

    def zone(self, cloud: str, subnet: str) -> str:
        """The zone of a subnet; its cloud's first for one that spans them, or is not known."""
        found = self._subnets.by_native.get((cloud, subnet))
        return self._cx.world.place_of(cloud, found.noun.zone if found else "").zone

    @property
    def domain(self) -> str:
        """What private DNS names end in. Source: "EC2 instance hostnames" in the EC2 User Guide."""
        region = self._cx.world.region
        return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"

    @property
    def sources(self) -> tuple[object, ...]:
        """What all names are made of: while these objects stand, so do the names."""
        return (self._images, self._networks, self._subnets, *_flavors(self._cx))

    def _flavor(self, cloud: str, native: str) -> Flavor | None:
        if cloud not in self._flavors:
            listed = compute(self._cx.session(cloud)).list_flavors()
            self._flavors[cloud] = {one.native: one for one in listed}
        return self._flavors[cloud].get(native)
