"""Builds the tiny image from Debian's packages: no root, no loop device, nothing that is not Debian's or ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from isthmus.providers.local.tiny import kernel, tools
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
    Kernel,
    Tiny,
)
from isthmus.providers.local.tiny.tools import BuildError


def missing() -> tuple[str, ...]:
    """Commands that a build needs and that are not here, as `apt-get install` wants them named."""
    absent = {package for program, package in NEEDS.items() if not shutil.which(program, path=tools.PATH)}
    if os.getuid() and not shutil.which("unshare", path=tools.PATH) and not shutil.which("fakeroot", path=tools.PATH):
        absent.add("util-linux")
    return tuple(sorted(absent))


def build(target: Path, progress: Callable[[str], None], which: Kernel = Kernel.DEBIAN) -> Tiny:
    """Builds into `target`, which is complete or absent at any moment; BuildError if it cannot be."""
    if (target / "manifest.json").is_file():
        return Tiny(target)
    if absent := missing():
        raise BuildError(f"building the tiny image needs: apt-get install {' '.join(absent)}")
    compiled = kernel.compile_once(progress) if which is Kernel.SMALL else None
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tiny-", dir=target.parent) as scratch:
        _build(Path(scratch), progress, compiled)
        with_manifest = Path(scratch) / "out"
        try:
            with_manifest.rename(target)
        except OSError:
            if not (target / "manifest.json").is_file():  # else somebody else was quicker, with the same result
                raise
    return Tiny(target)


def _build(scratch: Path, progress: Callable[[str], None], compiled: kernel.Compiled | None) -> None:
    debs, tree, root, out = (scratch / name for name in ("debs", "tree", "root", "out"))
    for directory in (debs, tree, root, out):
        directory.mkdir(mode=0o755)
    (tree / "lib/modules").mkdir(parents=True)
    progress("downloading Debian's packages")
    packages = _download(debs, compiled)
    progress("unpacking")
    for deb in packages:
        tools.run(["dpkg-deb", "-x", str(deb), str(tree)])
    progress("making the kernel, the ramdisk and the root file system")
    shutil.copyfile(compiled.image if compiled else next((tree / "boot").glob("vmlinuz-*")), out / "vmlinuz")
    programs = {"bin/busybox": (tree / "bin/busybox").read_bytes(), "init": (GUEST / "initrd-init").read_bytes()}
    drivers = modules(tree / "lib/modules", RAMDISK_MODULES)
    programs |= {f"lib/{number:02}-{name}.ko": content for number, (name, content) in enumerate(drivers.items())}
    (out / "initrd.gz").write_bytes(ramdisk(("bin", "dev", "lib", "new", "proc", "sys"), programs))
    _root(tree, root)
    _disk(root, scratch / "root.raw", out / "root.qcow2")
    _licences(tree, out / "licences")
    contents = [tools.package(deb) for deb in packages]
    if compiled:
        contents.append(compiled.package)
        shutil.copyfile(compiled.configuration, out / "kernel.config")
        shutil.copyfile(compiled.licence, out / "licences" / compiled.package["package"])
    manifest = {"packages": contents, "sources": "apt-get source PACKAGE=VERSION"}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    out.chmod(0o755)


def _download(debs: Path, compiled: kernel.Compiled | None) -> list[Path]:
    own = () if compiled else (tools.behind(KERNEL_META),)
    tools.run(["apt-get", "-qq", "download", *own, *PACKAGES], cwd=debs)
    return sorted(debs.glob("*.deb"))


def _root(tree: Path, root: Path) -> None:
    for directory in DIRECTORIES:
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "root").chmod(0o700)
    _install(tree / "bin/busybox", root / "bin/busybox")
    for applet in tools.run([str(tree / "bin/busybox"), "--list"]).split():
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
    tools.run([*_as_root(), *make])
    tools.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(target)])


def _as_root() -> list[str]:
    """What makes the image's files root's: sshd refuses keys in a directory of somebody else's."""
    if os.getuid() == 0:
        return []
    if shutil.which("unshare", path=tools.PATH):
        allowed = subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False)
        if allowed.returncode == 0:
            return ["unshare", "-Ur"]
    if shutil.which("fakeroot", path=tools.PATH):
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
