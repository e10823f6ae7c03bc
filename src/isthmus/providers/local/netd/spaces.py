"""Network namespaces by name, and what is done inside them. Those of root are seen by `ip netns`."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from isthmus.providers.local.netd.probe import open_tap

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
COMMAND_SECONDS = 20.0
ROOTS = Path("/run/netns")
SETTINGS = (
    ("ip_forward", "1"),
    *(
        (f"conf/{which}/{key}", value)
        for which in ("all", "default")
        for key, value in (
            ("rp_filter", "0"),
            ("accept_redirects", "0"),
            ("secure_redirects", "0"),
            ("send_redirects", "0"),
            ("accept_source_route", "0"),
            ("arp_ignore", "0"),
        )
    ),
)
NO_V6 = (("../ipv6/conf/all/disable_ipv6", "1"), ("../ipv6/conf/default/disable_ipv6", "1"))
_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(Exception):
    """A program that sets up networks failed; the text is what it said."""


class Spaces:
    """The namespaces whose names begin with `prefix`. An ordinary user's are seen in its anchor's mounts alone."""

    def __init__(self, directory: Path, prefix: str, *, root: bool = True) -> None:
        self.prefix = prefix
        self.root = root
        self._directory = ROOTS if root else directory / "ns"
        self._loaded: dict[str, str] = {}
        """The ruleset that each was given last."""

    def path(self, name: str) -> Path:
        return self._directory / f"{self.prefix}{name}"

    def names(self) -> list[str]:
        """Those that there are, without the prefix."""
        try:
            device = self._directory.stat().st_dev
            entries = [entry for entry in self._directory.iterdir() if entry.name.startswith(self.prefix)]
        except FileNotFoundError:
            return []
        return sorted(one.name.removeprefix(self.prefix) for one in entries if _device(one) not in (0, device))

    def open(self, name: str, ruleset: str) -> None:
        """See that one is there and forwards; a new one has the ruleset before anything is in it."""
        fresh = name not in self.names()
        if fresh:
            self._make(name)
        with contextlib.suppress(FileNotFoundError):  # the kernel may have no IPv6
            self.settings(name, NO_V6)
        self.settings(name, SETTINGS)
        if fresh:
            self.filter(name, ruleset)
        self.ip(name, ["link set dev lo up"])

    def _make(self, name: str) -> None:
        self._loaded.pop(name, None)
        path = self.path(name)
        if self.root:
            path.unlink(missing_ok=True)  # a file that nothing is mounted on: left by a crash
            command(["ip", "netns", "add", path.name])
            return
        self._directory.mkdir(mode=0o700, exist_ok=True)
        path.touch(0o600)
        command(["unshare", f"--net={path}", "true"])

    def remove(self, name: str) -> None:
        """The links in it go too; a tap stays with whoever holds it, and leads nowhere."""
        path = self.path(name)
        if self.root:
            command(["ip", "netns", "del", path.name])
            return
        command(["umount", str(path)])
        path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Also the names of those that somebody else has unmounted."""
        for name in self.names():
            with contextlib.suppress(CommandError):
                self.remove(name)
        for path in self._directory.glob(f"{self.prefix}*"):
            with contextlib.suppress(OSError):
                path.unlink()

    def inside(self, name: str, do: Callable[[], T]) -> T:
        """What `do` returns, run by a thread that is inside for as long: its sockets and children stay there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                with self.path(name).open("rb") as space:
                    if _libc.setns(space.fileno(), CLONE_NEWNET):
                        code = ctypes.get_errno()
                        raise OSError(code, f"{name} cannot be entered: {os.strerror(code)}")
                results.append(do())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, name=f"in {name}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def ip(self, name: str, lines: Iterable[str]) -> None:
        """Run lines of `ip`, all or up to the first that fails."""
        if text := "".join(f"{line}\n" for line in lines):
            self.inside(name, lambda: command(["ip", "-batch", "-"], text))

    def ask(self, name: str, *words: str) -> list[dict[str, Any]]:
        """What `ip -json` lists."""
        said = self.inside(name, lambda: command(["ip", "-json", *words]))
        return json.loads(said) if said.strip() else []

    def filter(self, name: str, text: str) -> None:
        """Load a ruleset, all of it or nothing, unless it is there."""
        if text != self._loaded.get(name):
            self.inside(name, lambda: command(["nft", "-f", "-"], text))
            self._loaded[name] = text

    def settings(self, name: str, values: Sequence[tuple[str, str]]) -> None:
        """Write kernel settings, by their paths below /proc/sys/net/ipv4 (or `../ipv6`)."""

        def write() -> None:
            for key, value in values:
                Path("/proc/sys/net/ipv4", key).write_text(value)

        self.inside(name, write)

    def links(self, name: str) -> dict[str, int]:
        """The names of its links, with their indexes."""
        return {link: index for index, link in self.inside(name, socket.if_nameindex)}

    def tap(self, name: str, link: str) -> int:
        return self.inside(name, lambda: open_tap(link))


def _device(path: Path) -> int:
    try:
        return path.stat().st_dev
    except OSError:
        return 0


def command(words: Sequence[str], text: str = "") -> str:
    """What a program says. CommandError if it fails, or takes too long."""
    try:
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"{words[0]}: {error}") from None
    if done.returncode:
        raise CommandError(f"{' '.join(words[:3])}: {' '.join(done.stderr.split())[:500]}")
    return done.stdout
