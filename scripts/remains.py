#!/usr/bin/env python3
"""scripts/remains.py [FILE]: what Isthmus, its guests and its tests have left on this host.

Looked for are processes, network namespaces and what keeps them, links and packet filters of the host, and files: all
of every Isthmus here, but for what FILE tells, an earlier answer. Ends with 1 if that is anything. CI asks at its
beginning and at its end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROCESSES = ("isthmus.providers.local.netd", "-m isthmus ", "bin/isthmus ", "guest=isthmus.", "emulators.cloudstack")
"""What the command line of a process of ours has in it."""
PREFIX, LINK = "isthmus-", "isth"
"""What the names of our namespaces and files begin with, and those of our links."""
PLACES = ("/tmp", "/var/tmp", "/run", "/run/netns", "/dev/shm")  # noqa: S108
CLOUD = "isthmus-openstack"
"""The OpenStack of the tests, which keeps what it fetched, and its logs."""


def main() -> int:
    known = Path(sys.argv[1]).read_text("utf-8").splitlines() if sys.argv[1:] else []
    found = [one for look in (processes, namespaces, links, filters, files) for one in look() if one not in known]
    print("\n".join(found) or "Nothing remains.")
    return 1 if found else 0


def processes() -> Iterator[str]:
    for at in Path("/proc").glob("[0-9]*"):
        try:
            words = (at / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        slirp = words.partition(" ")[0].endswith("slirp4netns") and PREFIX in words
        if slirp or any(one in words for one in PROCESSES):
            yield f"process {at.name}: {words[:200]}"


def namespaces() -> Iterator[str]:
    for line in Path("/proc/mounts").read_text("utf-8").splitlines():
        if f"/{PREFIX}" in line.split()[1]:
            yield f"mount {line.split()[1]}"


def links() -> Iterator[str]:
    for at in Path("/sys/class/net").iterdir():
        if at.name.startswith(LINK):
            yield f"link {at.name}"


def filters() -> Iterator[str]:
    nft = shutil.which("nft")
    said = subprocess.run([nft, "list", "tables"], capture_output=True, text=True).stdout if nft else ""
    for line in said.splitlines():
        if "isthmus" in line or LINK in line:
            yield f"nftables: {line}"


def files() -> Iterator[str]:
    for place in map(Path, PLACES):
        for at in place.glob(f"{PREFIX}*") if place.is_dir() else ():
            if at.name != CLOUD:
                yield f"file {at}"


if __name__ == "__main__":
    sys.exit(main())
