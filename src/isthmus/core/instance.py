"""One server as its account has it: what its cloud says, how it was launched, and what hangs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

from isthmus.core.registry import Found, Native
from isthmus.errors import Unavailable
from isthmus.model import Address, Firewall, Port, Server, Volume
from isthmus.store import Record


@dataclass(frozen=True)
class Launch:
    """What only the API knows of a server: how it was asked for. Kept in its record."""

    reservation: str = ""
    index: int = 0
    image: str = ""
    key: str = ""
    user_data: str = ""
    """Base64."""
    token: str = ""
    termination_protected: bool = False
    stop_protected: bool = False
    shutdown: str = "stop"
    """What a shutdown from inside does: `stop` or `terminate`."""
    http_tokens: str = "optional"
    http_endpoint: str = "enabled"
    hop_limit: int = 1
    metadata_tags: str = "disabled"
    credits: str = "standard"
    monitored: bool = False
    ebs_optimized: bool = False
    group: str = ""
    """The placement group, by its id; it keeps its name while it has servers."""
    group_name: str = ""
    partition: int = 0
    """Of a placement group that has partitions, from 1."""
    profile: str = ""
    """The name of the rights that programs on it are said to have: for EC2 the ARN of an instance profile."""
    profile_association: str = ""
    """The id of that, if it was given later; and since when."""
    profile_since: str = ""
    spot: str = ""
    """Of a spot instance, its kind of request: `one-time` or `persistent`."""
    spot_price: str = ""
    spot_behavior: str = ""
    spot_until: str = ""
    spot_cancelled: str = ""
    """When its request was cancelled."""
    fleet: str = ""
    """The fleet that it was launched for, and what it counts of its capacity."""
    weight: float = 1
    public: bool = False
    """Whether it has a public address of its own while it runs."""
    reason: str = ""
    """Why it was stopped or terminated, and when."""

    def dump(self) -> dict[str, Any]:
        return asdict(self)


class Unlisted(NamedTuple):
    """The ids of volumes on a server, of which its cloud can say no more at the moment."""

    ids: tuple[str, ...]


class Instance(NamedTuple):
    """A server with all that a front may say of it."""

    id: str
    account: str
    cloud: str
    server: Server
    launch: Launch
    tags: Mapping[str, str]
    volumes: tuple[Found[Volume], ...] | Unlisted
    addresses: tuple[Found[Address], ...]
    groups: tuple[Found[Firewall], ...]
    record: Record | None

    @property
    def key(self) -> tuple[str, str]:
        return (self.launch.reservation, self.id)

    @property
    def native(self) -> Native:
        return (self.cloud, self.server.native)

    @property
    def disks(self) -> tuple[Found[Volume], ...]:
        """Its volumes. Raises Unavailable while its cloud cannot list them: what is done by them would be wrong."""
        if isinstance(self.volumes, Unlisted):
            raise Unavailable(f"The volumes of the instance {self.id} cannot be looked at.")
        return self.volumes

    @property
    def disks_seen(self) -> tuple[Found[Volume], ...]:
        """Its volumes, or none of them while its cloud cannot list them."""
        return () if isinstance(self.volumes, Unlisted) else self.volumes

    @property
    def address(self) -> Found[Address] | None:
        """The public address of its first private one."""
        first = self.server.ports[0] if self.server.ports else None
        return self.address_of(first, first.address) if first else None

    def address_of(self, port: Port, private: str) -> Found[Address] | None:
        for found in self.addresses:
            if found.noun.private == private and found.noun.port == port.native:
                return found
        return None


_LAUNCH = frozenset(one.name for one in fields(Launch))


def launched(record: Record | None, known: str) -> Launch:
    """How a server was launched; for one made by other means, a reservation of its own."""
    said = record.data.get("launch", {}) if record else {}
    launch = Launch(**{name: value for name, value in said.items() if name in _LAUNCH})
    return launch if launch.reservation else replace(launch, reservation="r" + known[known.index("-") :])
