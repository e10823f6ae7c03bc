"""Which way the guests of a cloud are connected: in namespaces run by a daemon, or by user-mode networking (slirp)."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from isthmus.errors import Invalid
from isthmus.providers.local.netd.client import able, search_path

SLIRP, NAMESPACES, AUTO = "slirp", "namespaces", "auto"
WAYS = (AUTO, NAMESPACES, SLIRP)
AS_ROOT = "namespaces made by root"
AS_USER = "namespaces within a user namespace"
OUTSIDE = "slirp4netns"
CHOSEN = "as configured"


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    reason: str
    missing: str = ""
    """Why no server can be connected this way, or empty."""

    @property
    def words(self) -> str:
        """The way, as a guest's console tells it."""
        return "on user-mode networking (slirp)" if self.name == SLIRP else f"in {self.reason}"


def demand(wanted: str, public: str) -> None:
    """Invalid if the settings cannot be."""
    if wanted not in WAYS:
        raise Invalid(f"the network is auto, namespaces or slirp, not {wanted!r}", "network")
    if public and (wanted != NAMESPACES or os.geteuid() != 0):
        raise Invalid("a range of public addresses is routed by root alone, with network = 'namespaces'", "public")


def choose(wanted: str) -> Way:
    """What `wanted` means on this host; namespaces are tried once by making one."""
    if wanted == SLIRP:
        return Way(SLIRP, CHOSEN)
    mode, reason = able()
    if wanted == AUTO and mode and not shutil.which(OUTSIDE, path=search_path()):
        mode, reason = "", f"{OUTSIDE}, by which guests reach the outside, is not installed"
    if mode:
        return Way(NAMESPACES, AS_ROOT if mode == "root" else AS_USER)
    if wanted == AUTO:
        return Way(SLIRP, reason)
    return Way(NAMESPACES, CHOSEN, f"networks cannot be made on this host: {reason}")
