"""The built-in guest: Debian's cloud kernel, busybox, dropbear and a page of shell. GUEST files are the recipe."""

from isthmus.providers.local.tiny.builder import BuildError, build, missing
from isthmus.providers.local.tiny.recipe import Tiny, cached, find

__all__ = ["BuildError", "Tiny", "build", "cached", "find", "missing"]
