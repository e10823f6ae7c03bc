"""What the emulator does for each command, a file for each family. Texts of refusals are those of recorded answers."""

from emulators.cloudstack.commands import addresses, groups, jobs, keys, machines, tags, templates, volumes, zones
from emulators.cloudstack.commands.acts import ACTS

__all__ = ["ACTS", "addresses", "groups", "jobs", "keys", "machines", "tags", "templates", "volumes", "zones"]
