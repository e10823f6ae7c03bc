"""Whose the machines' processes are. Root starts them, and each then becomes a user that has nothing on this host."""

from __future__ import annotations

import functools
import hashlib
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Sequence

from isthmus.errors import Invalid
from isthmus.providers.local.machine import QEMU

USER = "isthmus-qemu"
"""The system's user for it, where there is one."""
LOWEST, COUNT = 1_900_000_000, 100_000_000
"""User ids that neither people nor containers have (systemd's UIDS-GIDS.md): a host's own are below."""
RUN_WITH = (9, 1)
"""Since this version QEMU has `-run-with user=`, and warns of `-runas`."""


def chosen(wish: str, state: os.PathLike[str]) -> str:
    """The user as QEMU takes it, `name` or `uid:gid`; empty where processes stay this user's own.

    `wish` is a user's name, or empty for USER, or a user id of the cloud's own if that does not exist. Invalid if
    there is no such user, or this process may not choose one.
    """
    if os.geteuid() != 0:
        if wish:
            raise Invalid("only root can run machines as another user", "user")
        return ""
    try:
        found = pwd.getpwnam(wish or USER)
    except KeyError:
        if wish:
            raise Invalid(f"there is no user {wish!r}", "user") from None
        own = LOWEST + int(hashlib.sha256(os.fsencode(state)).hexdigest(), 16) % COUNT
        return f"{own}:{own}"
    if found.pw_uid == 0:
        raise Invalid("machines are not to run as root: leave the user out", "user")
    return found.pw_name


def arguments(owner: str, version: tuple[int, int]) -> Sequence[str]:
    """The options that make QEMU become the user once it has opened what it was started with."""
    return ("-run-with", f"user={owner}") if version >= RUN_WITH else ("-runas", owner)


def qemu_version() -> tuple[int, int]:
    """Major and minor."""
    return _version(shutil.which(QEMU) or QEMU)


@functools.cache
def _version(program: str) -> tuple[int, int]:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"version (\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
