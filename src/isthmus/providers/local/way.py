"""Which way the guests of a cloud are connected: in namespaces run by a daemon, or by user-mode networking (slirp)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from isthmus.errors import Invalid
from isthmus.providers.local.netd.client import able

SLIRP, NAMESPACES, AUTO = "slirp", "namespaces", "auto"
WAYS = (AUTO, NAMESPACES, SLIRP)
AS_ROOT = "namespaces made by root"
AS_USER = "namespaces within a user namespace"
CHOSEN = "as configured"


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    reason: str
    missing: str = ""
    """Why no server can be connected this way, or empty."""


def demand(wanted: str, public: str) -> None:
    """Invalid if the settings cannot be."""
    if wanted not in WAYS:
        raise Invalid(f"the network is auto, namespaces or slirp, not {wanted!r}", "network")
    if public and (wanted != NAMESPACES or os.geteuid() != 0):
        raise Invalid("a range of public addresses is routed by root alone, with network = 'namespaces'", "public")


def choose(wanted: str) -> Way:
    """What `wanted` means on this host; namespaces are tried once by making one."""
    if wanted != NAMESPACES:
        return Way(SLIRP, CHOSEN if wanted == SLIRP else "what auto means")
    mode, reason = able()
    if not mode:
        return Way(NAMESPACES, CHOSEN, f"networks cannot be made on this host: {reason}")
    return Way(NAMESPACES, AS_ROOT if mode == "root" else AS_USER)
