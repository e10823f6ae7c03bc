"""How large the disk in an image file is."""

from __future__ import annotations

import struct
from pathlib import Path

from isthmus.errors import Invalid

GIBIBYTE = 1 << 30

# format -> where its virtual size is (negative: from the end), how it is packed, in units of how many bytes
SIZES = {"qcow2": (24, ">Q", 1), "vmdk": (12, "<Q", 512), "vpc": (-512 + 48, ">Q", 1)}


def gibibytes(path: Path, kind: str) -> int:
    """The virtual size of the disk, rounded up to whole GiB; Invalid if the file cannot be read so."""
    try:
        return max(1, -(-_bytes(path, kind) // GIBIBYTE))
    except (OSError, KeyError, struct.error):
        raise Invalid(f"the file is no readable image of the format {kind!r}", "format") from None


def _bytes(path: Path, kind: str) -> int:
    if kind == "raw":
        return path.stat().st_size
    offset, packed, unit = SIZES[kind]
    with path.open("rb") as file:
        file.seek(offset, 2 if offset < 0 else 0)
        (size,) = struct.unpack(packed, file.read(8))
    return int(size) * unit
