"""Links between namespaces: made where they are wanted, removed where they are not."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.providers.local.netd import edge, names
from isthmus.providers.local.netd.layout import Layout, pairs
from isthmus.providers.local.netd.names import short
from isthmus.providers.local.netd.spaces import CommandError, Spaces, command

End = tuple[str, str]
"""A namespace's name and the link's in it."""


def wanted(layouts: Mapping[str, Layout]) -> list[tuple[End, End]]:
    """The near end first."""
    both = [(a, b) for a, b in pairs(layouts) if a in layouts and b in layouts]
    found = [((short(a), names.peer_link(b)), (short(b), names.peer_link(a))) for a, b in both]
    for layout in edge.with_edge(layouts):
        native = layout.network.native
        found.append(((short(native), names.EDGE), (names.EDGE, names.edge_link(native))))
    return found


def settle(spaces: Spaces, layouts: Mapping[str, Layout], *, with_edge: bool) -> None:
    """Blocks. The namespaces are there. CommandError after all was tried."""
    failed: list[str] = []
    pairs_wanted = wanted(layouts)
    ends = {end for pair in pairs_wanted for end in pair}
    places = {short(native) for native in layouts} | ({names.EDGE} if with_edge else set())
    present = {(place, link) for place in places for link in spaces.links(place)}
    for place, link in sorted(present - ends):
        known = link == names.EDGE or link.startswith(("peer", "net"))
        if known and link in spaces.links(place):  # it goes with its other end
            spaces.ip(place, [f"link del dev {link}"])
    for near, far in pairs_wanted:
        if near in present and far in present:
            continue
        try:
            _make(spaces, near, far)
        except CommandError as error:
            failed.append(str(error))
    if failed:
        raise CommandError("; ".join(failed))


def _make(spaces: Spaces, near: End, far: End) -> None:
    words = ["ip", "link", "add", near[1], "address", names.NEAR, "type", "veth", "peer", "name", far[1]]
    words += ["address", names.FAR, "netns", str(spaces.path(far[0]))]
    spaces.inside(near[0], lambda: command(words))
    spaces.ip(near[0], [f"link set dev {near[1]} up"])
    spaces.ip(far[0], [f"link set dev {far[1]} up"])
