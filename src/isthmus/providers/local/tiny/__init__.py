"""The built-in guest: a Linux kernel, busybox, dropbear and a page of shell. GUEST files are the recipe."""

from isthmus.providers.local.tiny.builder import build, missing
from isthmus.providers.local.tiny.kernel import preferred
from isthmus.providers.local.tiny.recipe import Kernel, Tiny, cached, find
from isthmus.providers.local.tiny.tools import BuildError

__all__ = ["BuildError", "Kernel", "Tiny", "build", "cached", "find", "missing", "preferred"]
