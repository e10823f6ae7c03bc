"""What kind of disk image a file is, by its content; and refusal of those that reach beyond themselves.

Read at first hand from the formats' own specifications: QEMU's docs/interop/qcow2, VMware's Virtual Disk Format 1.1
and Microsoft's Virtual Hard Disk Image Format. Nothing of a file is ever executed or followed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

from isthmus.errors import Invalid

FORMATS = ("raw", "qcow2", "vmdk", "vpc")
_SECTOR = 512
_LARGEST = 1 << 45
"""32 TiB: the largest disk that is taken."""
_DESCRIPTOR_LARGEST = 64 * 1024

# by offset and first bytes: what is recognised and not taken, with what would help
_FOREIGN = (
    (0, b"vhdxfile", "a VHDX image"),
    (0, b"COWD", "an ESX sparse image"),
    (0, b"# Disk DescriptorFile", "a VMDK descriptor, whose data is in other files"),
    (0x40, b"\x7f\x10\xda\xbe", "a VirtualBox image"),
    (0, b"\x1f\x8b", "compressed with gzip"),
    (0, b"\xfd7zXZ\x00", "compressed with xz"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (0, b"BZh", "compressed with bzip2"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (257, b"ustar", "a tar archive (an OVA is one, too)"),
    (0, b"QED\x00", "a QED image"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
)


def inspect(path: Path, wanted: str = "") -> str:
    """The format of a disk image: raw, qcow2, vmdk or vpc. Raises Invalid if it is no other than `wanted`, if it
    refers to other files, or if it is none of these; OSError if it cannot be read."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        found = _format(file, size)
        if wanted and wanted != found:
            raise Invalid(f"The file is in the format {found}, not {wanted}.", "format")
        _CHECKS[found](file, size)
    return found


def _format(file: BinaryIO, size: int) -> str:
    head = _at(file, 0, 1024)
    if head.startswith(b"QFI\xfb"):
        return "qcow2"
    if head.startswith(b"KDMV"):
        return "vmdk"
    for offset, magic, what in _FOREIGN:
        if head[offset : offset + len(magic)] == magic:
            raise Invalid(f"The file is {what}: unpack it, or convert it with qemu-img convert -O qcow2.", "format")
    if size >= _SECTOR and _at(file, size - _SECTOR, 8) == b"conectix":
        return "vpc"
    if head.startswith(b"conectix"):
        raise Invalid("The VHD image has no footer: it is cut off.", "format")
    return "raw"


def _check_raw(_: BinaryIO, size: int) -> None:
    if size == 0 or size % _SECTOR:
        raise Invalid(
            "A raw disk image has a size that is a multiple of 512 bytes; this file is something else.", "format"
        )
    _check_size(size)


def _check_qcow2(file: BinaryIO, _: int) -> None:
    version, backing, _length, cluster, size, crypt = _unpack(file, 4, ">IQIIQI")
    if version not in (2, 3):
        raise Invalid(f"The image is of version {version} of qcow; only 2 and 3 are taken.", "format")
    if backing:
        raise Invalid("The image has a backing file: flatten it with qemu-img convert.", "format")
    if crypt:
        raise Invalid("The image is encrypted.", "format")
    if not 9 <= cluster <= 21:
        raise Invalid("The image has an impossible cluster size.", "format")
    features = _unpack(file, 72, ">Q")[0] if version == 3 else 0
    if features & 4:
        raise Invalid("The image keeps its data in another file: flatten it with qemu-img convert.", "format")
    if features & 2:
        raise Invalid("The image is marked as corrupt.", "format")
    if features >> 5:
        raise Invalid("The image uses features of qcow2 that are not known here.", "format")
    _check_size(size)


def _check_vmdk(file: BinaryIO, _: int) -> None:
    version, _flags, capacity, _grain, offset, length = _unpack(file, 4, "<IIQQQQ")
    if version not in (1, 2, 3) or not offset or not 0 < length * _SECTOR <= _DESCRIPTOR_LARGEST:
        raise Invalid("The VMDK image is not in one file with its descriptor.", "format")
    text = _at(file, offset * _SECTOR, length * _SECTOR).split(b"\0")[0].decode("latin-1")
    kind = re.search(r'^\s*createType\s*=\s*"([^"]*)"', text, re.MULTILINE | re.IGNORECASE)
    if not kind or kind[1] not in ("monolithicSparse", "streamOptimized"):
        raise Invalid("Only VMDK images in one file (monolithicSparse, streamOptimized) are taken.", "format")
    if re.search(r"^\s*parentFileNameHint", text, re.MULTILINE | re.IGNORECASE) or not re.search(
        r"^\s*parentCID\s*=\s*f{8}\s*$", text, re.MULTILINE | re.IGNORECASE
    ):
        raise Invalid("The VMDK image has a parent: flatten it with qemu-img convert.", "format")
    extents = re.findall(r"^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
    if [extent.upper() for extent in extents] != ["SPARSE"]:
        raise Invalid("The VMDK image has its data in other files.", "format")
    _check_size(capacity * _SECTOR)


def _check_vpc(file: BinaryIO, size: int) -> None:
    footer = size - _SECTOR
    (capacity,) = _unpack(file, footer + 48, ">Q")
    (kind,) = _unpack(file, footer + 60, ">I")
    if kind == 4:
        raise Invalid("The VHD image has a parent: flatten it with qemu-img convert.", "format")
    if kind not in (2, 3):
        raise Invalid(f"The VHD image is of the unknown type {kind}.", "format")
    _check_size(capacity)


def _check_size(size: int) -> None:
    if not 0 < size <= _LARGEST:
        raise Invalid(
            f"The disk in the image has {size} bytes; it must be larger than none and at most 32 TiB.", "format"
        )


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    if offset > _LARGEST:
        raise Invalid("The image points beyond its end.", "format")
    file.seek(offset)
    return file.read(length)


def _unpack(file: BinaryIO, offset: int, layout: str) -> tuple[int, ...]:
    length = struct.calcsize(layout)
    read = _at(file, offset, length)
    if len(read) < length:
        raise Invalid("The image is cut off.", "format")
    return struct.unpack(layout, read)


_CHECKS: Mapping[str, Callable[[BinaryIO, int], None]] = {
    "raw": _check_raw,
    "qcow2": _check_qcow2,
    "vmdk": _check_vmdk,
    "vpc": _check_vpc,
}
