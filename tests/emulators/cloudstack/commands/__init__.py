"""What the emulator does for each command, a file for each family. Texts of refusals are those of recorded answers."""

from emulators.cloudstack.commands import (
    addresses,
    affinity,
    firewalls,
    groups,
    jobs,
    keys,
    machine_changes,
    machines,
    projects,
    snapshots,
    tags,
    templates,
    users,
    volumes,
    vpcs,
    zones,
)
from emulators.cloudstack.commands.acts import ACTS

FAMILIES = (
    addresses,
    affinity,
    firewalls,
    groups,
    jobs,
    keys,
    machine_changes,
    machines,
    projects,
    snapshots,
    tags,
    templates,
    users,
    volumes,
    vpcs,
    zones,
)

__all__ = ["ACTS", "FAMILIES"]
