"""How the builds run programs, and what is wrong if one cannot."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class BuildError(Exception):
    """The image cannot be built here; the text says why and what would help."""


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": PATH, "LC_ALL": "C"}


def run(command: Iterable[str], cwd: Path | None = None) -> str:
    words = list(command)
    done = subprocess.run(words, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise BuildError(f"{Path(words[0]).name} failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def behind(meta: str) -> str:
    """The package that one of Debian's meta packages stands for."""
    found = re.search(r"Depends: (linux-\S+)", run(["apt-cache", "depends", meta]))
    if not found:
        raise BuildError(f"apt does not know {meta}: run apt-get update (the image is made of Debian's packages)")
    return found.group(1)


def package(deb: Path) -> dict[str, str]:
    fields = run(["dpkg-deb", "-f", str(deb), "Package", "Version", "Architecture", "Source"])
    return {key.lower(): value for key, _, value in (line.partition(": ") for line in fields.splitlines())}
