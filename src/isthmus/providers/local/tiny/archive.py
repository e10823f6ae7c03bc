"""Two file formats of the kernel's: a cpio archive for the ramdisk, and a module's dependencies."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Mapping
from pathlib import Path

DIRECTORY = 0o040755
EXECUTABLE = 0o100755


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + content + b"\0" * (-len(content) % 4)


def ramdisk(directories: tuple[str, ...], programs: Mapping[str, bytes]) -> bytes:
    """A gzipped "newc" archive (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst)."""
    entries = [(name, DIRECTORY, b"") for name in directories]
    entries += [(name, EXECUTABLE, content) for name, content in programs.items()]
    archive = b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))
    return gzip.compress(archive + _entry(0, "TRAILER!!!", 0, b""), 9, mtime=0)


def _module(tree: Path, name: str) -> tuple[str, bytes] | None:
    pattern = re.compile(re.escape(name).replace("_", "[-_]") + r"\.ko(\.xz)?$")
    for file in tree.rglob(f"{name[:3]}*.ko*"):
        if pattern.fullmatch(file.name):
            content = file.read_bytes()
            return name, lzma.decompress(content) if file.suffix == ".xz" else content
    return None


def modules(tree: Path, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The modules and what they depend on, in the order in which they load; what is built in is left out."""
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in found or not (module := _module(tree, name)):
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", b"\0" + module[1])
        for other in depends.group(1).decode().split(",") if depends else ():
            if other:
                add(other.replace("-", "_"))
        found[name] = module[1]

    for name in wanted:
        add(name)
    return found
