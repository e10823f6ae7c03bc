"""Builds the tiny image from Debian's packages: no root, no loop device, nothing that is not Debian's or ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from isthmus.providers.local.tiny.archive import modules, ramdisk
from isthmus.providers.local.tiny.recipe import (
    DIRECTORIES,
    DISK_MIB,
    GUEST,
    GUEST_FILES,
    KERNEL_META,
    LIBRARIES,
    MODULES,
    NEEDS,
    PACKAGES,
    PLAIN,
    PROGRAMS,
    RAMDISK_MODULES,
    Tiny,
)

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class BuildError(Exception):
    """The image cannot be built here; the text says why and what would help."""


def missing() -> tuple[str, ...]:
    """Commands that a build needs and that are not here, as `apt-get install` wants them named."""
    absent = {package for program, package in NEEDS.items() if not shutil.which(program, path=PATH)}
    if os.getuid() and not shutil.which("unshare", path=PATH) and not shutil.which("fakeroot", path=PATH):
        absent.add("util-linux")
    return tuple(sorted(absent))


def build(target: Path, progress: Callable[[str], None]) -> Tiny:
    """Builds into `target`, which is complete or absent at any moment; BuildError if it cannot be."""
    if (target / "manifest.json").is_file():
        return Tiny(target)
    if absent := missing():
        raise BuildError(f"building the tiny image needs: apt-get install {' '.join(absent)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tiny-", dir=target.parent) as scratch:
        _build(Path(scratch), progress)
        with_manifest = Path(scratch) / "out"
        try:
            with_manifest.rename(target)
        except OSError:
            if not (target / "manifest.json").is_file():  # else somebody else was quicker, with the same result
                raise
    return Tiny(target)


def _build(scratch: Path, progress: Callable[[str], None]) -> None:
    debs, tree, root, out = (scratch / name for name in ("debs", "tree", "root", "out"))
    for directory in (debs, tree, root, out):
        directory.mkdir(mode=0o755)
    progress("downloading Debian's packages")
    packages = _download(debs)
    progress("unpacking")
    for deb in packages:
        _run(["dpkg-deb", "-x", str(deb), str(tree)])
    progress("making the kernel, the ramdisk and the root file system")
    shutil.copyfile(next((tree / "boot").glob("vmlinuz-*")), out / "vmlinuz")
    programs = {"bin/busybox": (tree / "bin/busybox").read_bytes(), "init": (GUEST / "initrd-init").read_bytes()}
    drivers = modules(tree / "lib/modules", RAMDISK_MODULES)
    programs |= {f"lib/{number:02}-{name}.ko": content for number, (name, content) in enumerate(drivers.items())}
    (out / "initrd.gz").write_bytes(ramdisk(("bin", "dev", "lib", "new", "proc", "sys"), programs))
    _root(tree, root)
    _disk(root, scratch / "root.raw", out / "root.qcow2")
    _licences(tree, out / "licences")
    manifest = {"packages": [_package(deb) for deb in packages], "sources": "apt-get source PACKAGE=VERSION"}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    out.chmod(0o755)


def _download(debs: Path) -> list[Path]:
    depends = _run(["apt-cache", "depends", KERNEL_META])
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    if not kernel:
        raise BuildError(
            f"apt does not know {KERNEL_META}: run apt-get update (the image is made of Debian's packages)"
        )
    _run(["apt-get", "-qq", "download", kernel.group(1), *PACKAGES], cwd=debs)
    return sorted(debs.glob("*.deb"))


def _root(tree: Path, root: Path) -> None:
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "root").chmod(0o700)
    _install(tree / "bin/busybox", root / "bin/busybox")
    for applet in _run([str(tree / "bin/busybox"), "--list"]).split():
        if applet not in ("busybox", "init"):
            (root / "bin" / applet).symlink_to("/bin/busybox")
    for source, place in PROGRAMS.items():
        _install(tree / source, root / place)
    for library in LIBRARIES:
        _install(_library(tree, library), root / "lib/x86_64-linux-gnu" / library)
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    for name, place in GUEST_FILES.items():
        _install(GUEST / name, root / place, 0o644 if name in PLAIN else 0o755)
    (root / "etc/shells").write_text("/bin/sh\n")
    order = modules(tree / "lib/modules", MODULES)
    for name, content in order.items():
        (root / "lib/tiny" / f"{name}.ko").write_bytes(content)
    (root / "lib/tiny/order").write_text("".join(f"{name}.ko\n" for name in order))


def _install(source: Path, target: Path, mode: int = 0o755) -> None:
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def _library(tree: Path, name: str) -> Path:
    for place in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"):
        if (found := tree / place / name).exists():
            return found
    raise BuildError(f"{name} is in none of Debian's packages {' '.join(PACKAGES)}")


def _disk(root: Path, raw: Path, target: Path) -> None:
    with raw.open("wb") as file:
        file.truncate(DISK_MIB << 20)
    options = "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    make = ["mke2fs", "-q", "-t", "ext4", "-J", "size=4", "-E", options, "-L", "tiny", "-d", str(root), str(raw)]
    _run([*_as_root(), *make])
    _run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(target)])


def _as_root() -> list[str]:
    """What makes the image's files root's: sshd refuses keys in a directory of somebody else's."""
    if os.getuid() == 0:
        return []
    if shutil.which("unshare", path=PATH):
        allowed = subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return ["unshare", "-Ur"]
    if shutil.which("fakeroot", path=PATH):
        return ["fakeroot"]
    raise BuildError("user namespaces are not allowed here; instead: apt-get install fakeroot")


def _licences(tree: Path, target: Path) -> None:
    target.mkdir()
    for copyright_file in sorted((tree / "usr/share/doc").glob("*/copyright")):
        if copyright_file.is_file():
            shutil.copyfile(copyright_file, target / copyright_file.parent.name)
    (target / "README").write_text(
        "The image consists of the Debian packages listed in ../manifest.json, under the licences in this directory\n"
        "(the kernel, busybox: GPL-2), and of Isthmus's own files in src/isthmus/providers/local/tiny (Apache-2.0),\n"
        "which are also the build recipe. Sources: apt-get source PACKAGE=VERSION, or Debian's archive\n"
    )


def _package(deb: Path) -> dict[str, str]:
    fields = _run(["dpkg-deb", "-f", str(deb), "Package", "Version", "Architecture", "Source"])
    return {key.lower(): value for key, _, value in (line.partition(": ") for line in fields.splitlines())}


def _run(command: Iterable[str], cwd: Path | None = None) -> str:
    words = list(command)
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C"}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise BuildError(f"{Path(words[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout
