"""How much this host has for guests, and how much of that is taken."""

from __future__ import annotations

from typing import NamedTuple

from isthmus.errors import NoCapacity
from isthmus.model import Flavor, ServerState
from isthmus.providers.local.base import Base

MIB_LEFT = 256
"""What a host must have available for one more guest: guests take their memory only as they use it."""
TAKING = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING)


class Taken(NamedTuple):
    memory: int
    """MiB."""
    cpus: int


def taken(base: Base) -> Taken:
    """What the servers that are not stopped may use by their flavors."""
    names = [one.noun.flavor for one in base.servers.everything() if base.state_of(one) in TAKING]
    flavors = [base.flavors[name] for name in names if name in base.flavors]
    return Taken(sum(one.memory for one in flavors), sum(one.cpus for one in flavors))


def demand(base: Base, flavor: Flavor) -> None:
    """NoCapacity if there is no room for one more guest of this flavor. Called with the lock held."""
    with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123
        known = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in file}
    if flavor.memory > known["MemTotal"]:
        reason = f"the flavor {flavor.name} has {flavor.memory} MiB, this host {known['MemTotal']} MiB of memory"
        raise NoCapacity("server", "", reason)
    if known["MemAvailable"] < MIB_LEFT:
        raise NoCapacity("server", "", "this host has no memory left for one more server")
    limits = base.limits
    if limits.memory or limits.cpus:
        memory, cpus = taken(base)
        if limits.memory and memory + flavor.memory > limits.memory:
            raise NoCapacity("server", "", f"{memory} of {limits.memory} MiB of memory are taken")
        if limits.cpus and cpus + flavor.cpus > limits.cpus:
            raise NoCapacity("server", "", f"{cpus} of {limits.cpus} processors are taken")
