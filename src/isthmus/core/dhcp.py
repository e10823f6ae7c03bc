"""Sets of DHCP options: what servers are told when they ask for their address.

A set is a record of the store; which one a network uses stands in the network's record. Each account has one to begin
with, which says what the cloud says by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from isthmus.context import Context
from isthmus.core import kept
from isthmus.core.ids import Kind, adopt
from isthmus.core.kept import Defaults, Kept
from isthmus.core.notes import note
from isthmus.core.registry import Found
from isthmus.errors import Conflict
from isthmus.model import CLOUDS_OWN, Dhcp, Network
from isthmus.store import View

NONE = "default"
"""In place of a set's id: the network says what its cloud says by itself."""


def default_id(cx: Context) -> str:
    """The id of the set that all networks use in the beginning."""
    return adopt(Kind.DHCP, "", cx.account)


def defaults(cx: Context) -> Defaults:
    region = cx.world.region
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return {default_id(cx): {"options": {"domain-name": [domain], "domain-name-servers": [CLOUDS_OWN]}}}


def find(cx: Context, ids: Collection[str] | None = None) -> list[Kept]:
    return kept.find(cx, Kind.DHCP, ids, defaults(cx))


def options(found: Kept) -> Mapping[str, Sequence[str]]:
    return {name: list(values) for name, values in found.data["options"].items()}


def of_network(cx: Context, network: Found[Network]) -> str:
    """The id of the set that a network uses, or NONE."""
    return str(network.data.get("dhcp") or default_id(cx))


def create(cx: Context, said: Mapping[str, Sequence[str]]) -> Kept:
    return kept.create(cx, Kind.DHCP, {"options": said}, cx.tags.get("dhcp-options"))


def delete(cx: Context, known: str) -> None:
    """Raises Conflict (`in-use`) while a network uses the set, and for the one that new networks use."""
    first = defaults(cx)

    def check(view: View) -> None:
        if known in first or any(one.data.get("dhcp") == known for one in view.of_kind(Kind.NETWORK).values()):
            reason = f"The dhcpOptions '{known}' has dependencies and cannot be deleted."
            raise Conflict(Kind.DHCP, known, reason, "in-use")

    kept.delete(cx, Kind.DHCP, known, first, check)


def associate(cx: Context, network: Found[Network], known: str) -> None:
    """To be called while the wiring of the network is `changing`. Raises NotFound."""
    first = defaults(cx)

    def check(view: View) -> None:
        if known != NONE:
            kept.held(view, Kind.DHCP, known, first)

    note(cx, Kind.NETWORK, network, check, dhcp=known)


def effect(cx: Context, network: Found[Network]) -> Dhcp:
    """What the network's cloud is to tell its servers."""
    used = of_network(cx, network)
    if used in (NONE, default_id(cx)):
        return Dhcp()
    said = options(find(cx, [used])[0])
    resolvers = tuple(said.get("domain-name-servers", ()))
    return Dhcp(
        " ".join(said.get("domain-name", ())),
        () if resolvers == (CLOUDS_OWN,) else resolvers,
        tuple(said.get("ntp-servers", ())),
        tuple(said.get("netbios-name-servers", ())),
        "".join(said.get("netbios-node-type", ())),
    )
