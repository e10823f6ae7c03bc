"""What the emulator does for each command, a file for each family. Texts of refusals are those of recorded answers."""

from importlib import import_module
from pkgutil import iter_modules

from emulators.cloudstack.commands.acts import ACTS

for family in iter_modules(__path__):
    import_module(f"{__name__}.{family.name}")

__all__ = ["ACTS"]
