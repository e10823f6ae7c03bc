"""Disk images are known by their content, and those that reach beyond themselves are refused."""

from __future__ import annotations

import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isthmus.cli import imagefile
from isthmus.errors import Invalid

QEMU_IMG = shutil.which("qemu-img")
needs_qemu_img = pytest.mark.skipif(not QEMU_IMG, reason="needs qemu-img (Debian: qemu-utils)")


def made(path: Path, *words: str) -> Path:
    subprocess.run([str(QEMU_IMG), "create", "-q", *words, str(path), "8M"], check=True, capture_output=True)
    return path


def file_of(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def qcow2(**changed: int) -> bytes:
    values = {
        "version": 3,
        "backing": 0,
        "length": 0,
        "bits": 16,
        "size": 1 << 23,
        "crypt": 0,
        "features": 0,
        **changed,
    }
    names = ("version", "backing", "length", "bits", "size", "crypt")
    head = b"QFI\xfb" + struct.pack(">IQIIQI", *(values[name] for name in names))
    return head.ljust(72, b"\0") + struct.pack(">Q", values["features"]) + b"\0" * 1000


def vmdk(text: str, capacity: int = 16384) -> bytes:
    head = b"KDMV" + struct.pack("<IIQQQQ", 1, 3, capacity, 128, 1, 20)
    return head.ljust(512, b"\0") + text.encode().ljust(20 * 512, b"\0")


DESCRIPTOR = (
    '# Disk DescriptorFile\nCID=1\nparentCID=ffffffff\ncreateType="monolithicSparse"\nRW 16384 SPARSE "x.vmdk"\n'
)


def vhd(kind: int) -> bytes:
    footer = b"conectix".ljust(48, b"\0") + struct.pack(">Q", 1 << 20) + b"\0\0\0\0" + struct.pack(">I", kind)
    return b"\0" * (1 << 20) + footer.ljust(512, b"\0")


@needs_qemu_img
@pytest.mark.parametrize(
    ("words", "form"),
    [
        (("-f", "raw"), "raw"),
        (("-f", "qcow2"), "qcow2"),
        (("-f", "qcow2", "-o", "compat=0.10"), "qcow2"),
        (("-f", "qcow2", "-o", "compression_type=zlib,lazy_refcounts=on"), "qcow2"),
        (("-f", "vmdk"), "vmdk"),
        (("-f", "vmdk", "-o", "subformat=streamOptimized"), "vmdk"),
        (("-f", "vpc"), "vpc"),
        (("-f", "vpc", "-o", "subformat=fixed,force_size=on"), "vpc"),
    ],
)
def test_qemu_s_own_images_are_known(tmp_path: Path, words: tuple[str, ...], form: str) -> None:
    path = made(tmp_path / "image", *words)

    assert imagefile.inspect(path) == form
    assert imagefile.inspect(path, form) == form


@needs_qemu_img
@pytest.mark.parametrize("form", ["qcow2", "vmdk", "vpc"])
def test_an_image_is_not_taken_for_a_raw_one(tmp_path: Path, form: str) -> None:
    with pytest.raises(Invalid, match=f"in the format {form}, not raw"):
        imagefile.inspect(made(tmp_path / "image", "-f", form), "raw")


@needs_qemu_img
@pytest.mark.parametrize("form", ["qcow2", "vmdk"])
def test_an_image_with_a_backing_file_is_refused(tmp_path: Path, form: str) -> None:
    base = made(tmp_path / "base", "-f", form)
    path = tmp_path / "image"
    words = [str(QEMU_IMG), "create", "-q", "-f", form, "-b", str(base), "-F", form, str(path)]
    subprocess.run(words, check=True, capture_output=True)

    with pytest.raises(Invalid, match=r"flatten it|in one file"):
        imagefile.inspect(path)


@needs_qemu_img
def test_an_image_with_its_data_elsewhere_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "image", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}")

    with pytest.raises(Invalid, match="data in another file"):
        imagefile.inspect(path)


@needs_qemu_img
@pytest.mark.parametrize("form", ["vdi", "vhdx", "qed"])
def test_other_formats_are_refused_with_what_helps(tmp_path: Path, form: str) -> None:
    with pytest.raises(Invalid, match="qemu-img convert"):
        imagefile.inspect(made(tmp_path / "image", "-f", form))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": 1}, "version 1"),
        ({"version": 9}, "version 9"),
        ({"backing": 300}, "backing file"),
        ({"crypt": 1}, "encrypted"),
        ({"crypt": 2}, "encrypted"),
        ({"bits": 99}, "cluster"),
        ({"features": 2}, "corrupt"),
        ({"features": 4}, "another file"),
        ({"features": 1 << 20}, "not known"),
        ({"size": 0}, "0 bytes"),
        ({"size": 1 << 60}, "at most 32 TiB"),
    ],
)
def test_tricks_in_qcow2_are_refused(tmp_path: Path, changed: dict[str, int], words: str) -> None:
    assert imagefile.inspect(file_of(tmp_path / "good", qcow2())) == "qcow2"
    with pytest.raises(Invalid, match=words):
        imagefile.inspect(file_of(tmp_path / "image", qcow2(**changed)))


@pytest.mark.parametrize(
    "text",
    [
        DESCRIPTOR.replace("monolithicSparse", "monolithicFlat"),
        DESCRIPTOR.replace("monolithicSparse", "fullDevice"),
        DESCRIPTOR.replace("ffffffff", "12345678"),
        DESCRIPTOR + 'parentFileNameHint="/etc/passwd"\n',
        DESCRIPTOR.replace("SPARSE", "FLAT"),
        DESCRIPTOR + 'RW 100 FLAT "/etc/shadow" 0\n',
        DESCRIPTOR.replace("RW 16384 SPARSE", "# none"),
        "",
    ],
)
def test_tricks_in_vmdk_are_refused(tmp_path: Path, text: str) -> None:
    assert imagefile.inspect(file_of(tmp_path / "good", vmdk(DESCRIPTOR))) == "vmdk"
    with pytest.raises(Invalid):
        imagefile.inspect(file_of(tmp_path / "image", vmdk(text)))


def test_tricks_in_vhd_are_refused(tmp_path: Path) -> None:
    assert imagefile.inspect(file_of(tmp_path / "good", vhd(2))) == "vpc"
    for kind in (0, 4, 5):
        with pytest.raises(Invalid):
            imagefile.inspect(file_of(tmp_path / "image", vhd(kind)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"\x1f\x8b" + b"\0" * 1022,
        b"\xfd7zXZ\x00" + b"\0" * 1018,
        b"PK\x03\x04" + b"\0" * 1020,
        b"<!DOCTYPE html>" + b" " * 1009,
        b"\0" * 257 + b"ustar" + b"\0" * 762,
        DESCRIPTOR.encode().ljust(1024, b"\n"),
        b"QFI\xfb",
        b"KDMV",
        b"conectix" + b"\0" * 1016,
    ],
)
def test_what_is_no_disk_image_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(Invalid):
        imagefile.inspect(file_of(tmp_path / "image", content))


magics = st.sampled_from([b"", b"QFI\xfb", b"KDMV", b"conectix", vmdk(DESCRIPTOR)[:600], qcow2()[:80]])


@given(magics, st.binary(max_size=1500), magics)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_any_file_is_known_or_refused(tmp_path: Path, head: bytes, middle: bytes, tail: bytes) -> None:
    path = file_of(tmp_path / "image", head + middle + tail)
    with suppress(Invalid):
        assert imagefile.inspect(path) in imagefile.FORMATS
