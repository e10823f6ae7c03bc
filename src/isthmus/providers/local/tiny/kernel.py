"""Compiles the small kernel of Debian's sources: once for each kernel.config, as it takes minutes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isthmus.providers.local.tiny import tools
from isthmus.providers.local.tiny.recipe import CONFIGURATION, Kernel, cache
from isthmus.providers.local.tiny.tools import BuildError

SOURCE_META = "linux-source"
MINUTES = 8
"""Of one processor, that compiling took where it was measured."""
DISK_GIB = 2
FILES = 1300
"""About how many files are compiled: only for saying how far it is."""
STEP = 100
NEEDS = {"make": "make", "gcc": "gcc", "flex": "flex", "bison": "bison", "bc": "bc", "xz": "xz-utils"}
HEADERS = {"gelf.h": "libelf-dev"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A directory with a kernel, its whole configuration, and what it was made of."""

    path: Path

    @property
    def image(self) -> Path:
        return self.path / "vmlinuz"

    @property
    def configuration(self) -> Path:
        return self.path / "config"

    @property
    def licence(self) -> Path:
        return self.path / "copyright"

    @property
    def package(self) -> dict[str, str]:
        """The source's package and version."""
        found: dict[str, str] = json.loads((self.path / "source.json").read_text())
        return found


def find() -> Compiled | None:
    """The kernel of this configuration, if it was compiled."""
    place = _place()
    return Compiled(place) if place.is_dir() else None


def preferred() -> Kernel:
    """What an image is built with if nobody says it: the small kernel once that is compiled."""
    return Kernel.SMALL if find() else Kernel.DEBIAN


def missing() -> tuple[str, ...]:
    """The Debian packages that compiling needs and that are not here."""
    absent = {package for program, package in NEEDS.items() if not shutil.which(program, path=tools.PATH)}
    absent |= {package for header, package in HEADERS.items() if not Path("/usr/include", header).exists()}
    return tuple(sorted(absent))


def compile_once(progress: Callable[[str], None]) -> Compiled:
    """The kernel, compiled now if it was not yet; BuildError if it cannot be."""
    if found := find():
        return found
    if absent := missing():
        raise BuildError(f"compiling the small kernel needs: apt-get install {' '.join(absent)}")
    place = _place()
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kernel-", dir=place.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir(mode=0o755)
        _compile(Path(scratch), made, progress)
        try:
            made.rename(place)
        except OSError:
            if not place.is_dir():  # else somebody else was quicker, with the same result
                raise
    return Compiled(place)


def _place() -> Path:
    return cache() / f"kernel-{hashlib.sha256(CONFIGURATION.read_bytes()).hexdigest()[:12]}"


def _compile(scratch: Path, made: Path, progress: Callable[[str], None]) -> None:
    jobs = len(os.sched_getaffinity(0))
    progress(
        f"the small kernel takes about {MINUTES} minutes of a processor (here are {jobs}), and {DISK_GIB} GiB of disk"
    )
    progress("downloading Debian's kernel sources (140 MB), and unpacking them")
    source = tools.behind(SOURCE_META)
    tools.run(["apt-get", "-qq", "download", source], cwd=scratch)
    [deb] = scratch.glob("*.deb")
    tools.run(["dpkg-deb", "-x", str(deb), str(scratch / "deb")])
    tools.run(["tar", "-xf", str(scratch / "deb/usr/src" / f"{source}.tar.xz"), "-C", str(scratch)])
    tree = scratch / source
    _configure(tree)
    _make(tree, jobs, progress)
    shutil.copyfile(tree / "arch/x86/boot/bzImage", made / "vmlinuz")
    shutil.copyfile(tree / ".config", made / "config")
    shutil.copyfile(scratch / "deb/usr/share/doc" / source / "copyright", made / "copyright")
    (made / "source.json").write_text(json.dumps(tools.package(deb), indent=1) + "\n")


def _configure(tree: Path) -> None:
    """BuildError if these sources do not know a line of the configuration, or do not allow it."""
    tools.run(["make", "-s", "tinyconfig"], cwd=tree)
    with (tree / ".config").open("a") as file:
        file.write(CONFIGURATION.read_text())
    tools.run(["make", "-s", "olddefconfig"], cwd=tree)
    if refused := unheard(CONFIGURATION.read_text(), (tree / ".config").read_text()):
        raise BuildError(f"{tree.name} has other options than kernel.config was written for: {' '.join(refused)}")


def unheard(wanted: str, got: str) -> list[str]:
    """The lines of a configuration that another one, complete, does not have; an option that is off may be absent."""
    lines = [line for line in wanted.splitlines() if line.startswith("CONFIG_")]
    known = {line.partition("=")[0]: line for line in got.splitlines() if line.startswith("CONFIG_")}
    return [line for line in lines if known.get(name := line.partition("=")[0], f"{name}=n") != line]


def _make(tree: Path, jobs: int, progress: Callable[[str], None]) -> None:
    words = ["make", f"-j{jobs}", "bzImage"]
    done, tail = 0, ""
    with subprocess.Popen(
        words, cwd=tree, env=tools.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    ) as making:  # fmt: skip
        for line in making.stdout or ():
            tail = (tail + line)[-500:]
            done += line.startswith("  CC ")
            if line.startswith("  CC ") and done % STEP == 0:
                progress(f"compiling: {done} of about {FILES} files")
    if making.returncode:
        raise BuildError(f"the kernel does not compile: {tail.strip()}")
