"""Ids and names for the native ids that servers carry, looked up once a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from isthmus.context import Context
from isthmus.core import images, networks
from isthmus.core.ids import Kind, adopt
from isthmus.core.registry import Found, Index, all_of
from isthmus.model import Flavor
from isthmus.store import View

T = TypeVar("T")


def _flavors(cx: Context) -> list[Sequence[Flavor]]:
    return [api.list_flavors() if api else () for api in (cx.session(cloud).compute for cloud in cx.world.clouds)]


NAMED = (images.index, networks.networks, networks.subnets, _flavors)
"""What all names are made of, to be read at the same time."""


def unknown(cx: Context) -> Sequence[Callable[[Context], Any]]:
    """What names are likely to need of the clouds: all of it at first, and then no more."""
    return () if _kept(cx) else NAMED


class Names:
    """Where clouds are asked over a wire, what has been found once is not asked for again: things keep their names."""

    def __init__(self, cx: Context) -> None:
        self._cx = cx
        self._known = _kept(cx)

    def image(self, cloud: str, native: str) -> str:
        return self._id(Kind.IMAGE, cloud, native)

    def kernel(self, cloud: str, native: str) -> str:
        return self._id(Kind.KERNEL, cloud, native)

    def ramdisk(self, cloud: str, native: str) -> str:
        return self._id(Kind.RAMDISK, cloud, native)

    def network(self, cloud: str, native: str) -> str:
        return self._id(Kind.NETWORK, cloud, native)

    def subnet(self, cloud: str, native: str) -> str:
        return self._id(Kind.SUBNET, cloud, native)

    def flavor(self, cloud: str, native: str) -> str:
        """The flavor's name; its native id if the cloud no longer has it."""
        found = self._flavor(cloud, native)
        return found.name if found else native

    def cpus(self, cloud: str, native: str) -> int:
        found = self._flavor(cloud, native)
        return found.cpus if found else 1

    def zone(self, cloud: str, subnet: str) -> str:
        """The zone of a subnet; its cloud's first for one that spans them, or is not known."""
        found = self._found(Kind.SUBNET, cloud, subnet)
        return self._cx.world.place_of(cloud, found.noun.zone if found else "").zone

    @property
    def domain(self) -> str:
        """What private DNS names end in. Source: "EC2 instance hostnames" in the EC2 User Guide."""
        region = self._cx.world.region
        return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"

    @property
    def sources(self) -> tuple[object, ...]:
        """What all names are made of: while these objects stand, so do the names."""
        if self._known is not None:
            return (self._view,)
        images, networks, subnets, flavors = self._listed
        return (images, networks, subnets, *flavors)

    def _id(self, kind: Kind, cloud: str, native: str) -> str:
        """As it is on record, else as it is listed, else derived; empty for nothing named."""
        if self._known is None:
            return self._indexes[kind].id_of(kind, cloud, native)
        if not native:
            return ""
        if record := self._view.by_native(cloud, kind, native):
            return record.id
        found = self._found(kind, cloud, native)
        return found.id if found else adopt(kind, cloud, native)

    def _found(self, kind: Kind, cloud: str, native: str) -> Found[Any] | None:
        return self._once((kind, cloud, native), lambda: self._indexes[kind].by_native.get((cloud, native)))

    @cached_property
    def _view(self) -> View:
        return self._cx.view()

    def _flavor(self, cloud: str, native: str) -> Flavor | None:
        return self._once(("flavor", cloud, native), lambda: self._flavors.get((cloud, native)))

    @cached_property
    def _flavors(self) -> Mapping[tuple[str, str], Flavor]:
        listed = zip(self._cx.world.clouds, self._listed[-1], strict=True)
        return {(cloud, one.native): one for cloud, flavors in listed for one in flavors}

    @cached_property
    def _indexes(self) -> Mapping[Kind, Index[Any]]:
        images, networks, subnets, _ = self._listed
        named = dict.fromkeys((Kind.IMAGE, Kind.KERNEL, Kind.RAMDISK), images)
        return {**named, Kind.NETWORK: networks, Kind.SUBNET: subnets}

    @cached_property
    def _listed(self) -> list[Any]:
        """What NAMED reads."""
        return all_of(self._cx, *NAMED)

    def _once(self, key: object, look: Callable[[], T | None]) -> T | None:
        if self._known is None:
            return look()
        if key not in self._known and (found := look()):
            self._known[key] = found
        return self._known.get(key)


def _kept(cx: Context) -> dict[object, Any] | None:
    """What an account's names were found to be, if some cloud is asked over a wire."""
    return cx.world.memo.setdefault((cx.account, "names"), {}) if cx.world.remote else None  # type: ignore[return-value]
