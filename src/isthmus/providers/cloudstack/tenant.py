"""One account's own things in the zones of a cloud: of all that its keys are shown, what is neither others' nor
elsewhere. Another cloud may have further zones of the same CloudStack."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from isthmus.believed import Believed
from isthmus.errors import NotFound
from isthmus.providers.cloudstack.client import Client, Item, is_native
from isthmus.providers.cloudstack.credentials import Owner

FEW = 100
"""Of more ids than these all are asked for: a request has its bounds."""


Offers = Believed[Sequence[Item]]
"""What an operator offers: each tenant sees its own."""


class Tenant:
    """Calls with the keys of one account, for the zones of these names. Administrators are shown others' things by
    their ids: these are left out."""

    def __init__(
        self, client: Client, owner: Owner, zones: Sequence[str], kept: Offers, offered: Client | None = None
    ) -> None:
        self.client = client
        self.owner = owner
        self._zones = zones
        self._kept = kept
        self.offered = offered or client
        """For what a request reads once, whatever it changes."""

    @property
    def native(self) -> str:
        return self.owner.tenant

    def once(self) -> Tenant:
        """The same for one request."""
        client = self.client.once()
        return Tenant(client, self.owner, self._zones, self._kept, client.steady())

    def all(self, command: str, key: str, /, **params: object) -> list[Item]:
        """What of a list is the account's own here; `key` is the name of its items in the answer."""
        return [one for one in self.client.every(command, key, **params) if self.has(one)]

    def has(self, item: Item) -> bool:
        """Whether a thing is the account's own, and here."""
        return self.owner.has(item) and self.here(item)

    def here(self, item: Item) -> bool:
        """Whether a thing is in one of the cloud's zones, or in none at all: keys and tags are in none."""
        if "zonename" in item:
            return item["zonename"] in self._zones
        if "zoneid" not in item:
            return True
        zones = self.offers("listZones", "zone")  # before 4.19 snapshots tell no more
        return any(one["id"] == item["zoneid"] and one["name"] in self._zones for one in zones)

    def kept_here(self, listed: Iterable[Item]) -> list[Mapping[str, str]]:
        """The parameters of each command that deletes a thing here alone, which is listed for each zone that it is in.

        They say no zone for one that is nowhere else.
        """
        zones = {one.get("zoneid", ""): self.here(one) for one in listed}
        return [{}] if all(zones.values()) else [{"zoneid": zone} for zone, here in zones.items() if here]

    def offers(self, command: str, key: str, /, **params: object) -> Sequence[Item]:
        """A list of what the operator offers, as it was within the last minute."""
        asked = (self.native, command, *sorted(params.items()))
        return self._kept.get(asked, partial(self.offered.every, command, key, **params))

    def forget(self) -> None:
        """Ask anew for what is offered."""
        self._kept.forget(self.native)

    def some(self, command: str, key: str, natives: Collection[str] | None, /, **params: object) -> list[Item]:
        """What there is of these native ids, or all for None; each once.

        CloudStack refuses a list of ids for one that there is not: then all are asked for.
        """
        if natives is None:
            return self.all(command, key, **params)
        wanted = sorted({one for one in natives if is_native(one)})
        if not wanted:
            return []
        if len(wanted) <= FEW:
            try:
                return self.all(command, key, ids=wanted, **params)
            except NotFound:
                pass
        return [one for one in self.all(command, key, **params) if one["id"] in wanted]


def busy(item: Item) -> bool:
    """Whether a job is under way for a thing: lists say which, until it has ended."""
    return bool(item.get("jobid")) and not item.get("jobstatus")
