"""What the rest of the local cloud asks of the daemon: it is started when it is needed, and asked over its socket."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isthmus.providers.local import sockets
from isthmus.providers.local.netd import probe
from isthmus.providers.local.netd.names import ANOTHER
from isthmus.providers.local.netd.plan import Plan
from isthmus.providers.local.netd.processes import CODE, Noted, anchor, entered
from isthmus.providers.local.netd.spaces import Spaces
from isthmus.providers.local.tables import FileLock

PATIENCE = 60.0
"""Seconds in which the daemon answers, whatever it has to do."""
START_SECONDS = 60.0
LONGEST_ANSWER = 1 << 20
TRIAL = """
name=$(mktemp -t isthmus-probe-XXXXXX) || exit
trap 'rm -f "$name"' EXIT
unshare --net="$name" true && { nsenter --net="$name" "$1" -I -S "$2"; code=$?; umount "$name"; exit $code; }
"""
"""Makes a namespace that has a name, tries it by a program, and removes it, also when who asked has ended meanwhile."""
NEEDED = ("ip", "nft", "unshare", "nsenter")


class NetdError(Exception):
    """The networks could not be made as they should be; the text says what failed."""


@functools.cache
def able() -> tuple[str, str]:
    """How networks can be made on this host, tried once by making and removing one: `root`, `user` (in a user
    namespace) or empty, and why they cannot."""
    if absent := [program for program in NEEDED if not shutil.which(program, path=search_path())]:
        return "", f"not installed: {', '.join(absent)} (Debian: iproute2, nftables, util-linux)"
    mode = "root" if os.geteuid() == 0 else "user"
    words = ["unshare", "--user", "--map-root-user", "--mount"] if mode == "user" else []
    words += ["sh", "-c", TRIAL, "sh", sys.executable, probe.__file__]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False, env=environment())
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"no network namespace can be made: {error}"
    if done.returncode:
        return "", f"no network namespace can be made: {' '.join(done.stderr.split())[:500]}"
    return mode, ""


def search_path() -> str:
    """Where programs are looked for: ordinary users often have no sbin."""
    return f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": search_path()}


class _SilentError(NetdError):
    """There is a process, and it does not answer."""


class Netd:
    """The daemon of one cloud. `directory` is its own, `prefix` begins the names of all its namespaces."""

    def __init__(self, directory: Path, prefix: str) -> None:
        self._directory = directory.absolute()
        self._prefix = prefix
        self._daemon: subprocess.Popen[bytes] | None = None
        """The one that this process started: it is its child, however long it outlives it."""

    def apply(self, plan: Plan) -> None:
        """Save the plan, and wait until it is true. The daemon is started if need be. NetdError; the plan is kept.

        A plan without any port on a server ends the daemon, and all that it has made.
        """
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._apply(plan)
            except _SilentError:  # it is just ending, as it had nothing left to do, or just beginning
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _apply(self, plan: Plan) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        plan.save(self._directory / "plan.json")
        if not self._running():
            if not any(port.server for network in plan.networks for port in network.ports):
                self.clean()
                return
            self._start()
        answer = self._ask({"do": "apply"})
        if answer.get("code") != CODE:  # it was started by an Isthmus that was replaced since
            self.stop()
            self._start()
            self._ask({"do": "apply"})

    def plug(self, port: str) -> int:
        """The descriptor of a new tap for a port of the plan that is on a server, with frames that begin with a
        virtio header: the caller's to pass on and to close. The tap goes with its last descriptor. NetdError, also
        if the port has a tap."""
        if not self._running():
            self._start()
        _, descriptors = self._exchange({"do": "plug", "port": port})
        if len(descriptors) != 1:
            raise NetdError("the daemon of the networks gave no tap")
        return descriptors[0]

    def health(self) -> dict[str, Any]:
        """`running`, and what the daemon says: `mode`, `networks`, `outside` (empty, or why there is no way out) and
        `failed`, what could not be made true, in words. Never raises."""
        if not self._running():
            return {"running": False, "failed": []}
        try:
            return {"running": True, **self._ask({"do": "health"})}
        except NetdError as error:
            return {"running": True, "failed": [str(error)]}

    def stop(self) -> None:
        """End the daemon alone: guests keep their networks, but nobody answers DHCP, metadata and DNS."""
        self._noted("netd").end()

    def clean(self) -> None:
        """Remove all that there is of this cloud's networks, whatever crashed before: processes, namespaces, links,
        routes and files. Guests that still run have no network any more."""
        if not self._directory.exists():
            return
        with self._lock():
            self._noted("netd").end()
            self._noted("slirp").end()
            if os.geteuid() == 0:
                Spaces(self._directory, self._prefix).remove_all()
            self._noted("anchor").end()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _lock(self) -> FileLock:
        return FileLock(self._directory / "start.lock")

    def _noted(self, name: str) -> Noted:
        return Noted(self._directory / f"{name}.pid", self._directory)

    def _running(self) -> bool:
        if self._daemon:
            self._daemon.poll()
        return bool(self._noted("netd").pid())

    def _start(self) -> None:
        with self._lock():
            if self._running():
                return
            mode, reason = able()
            if not mode:
                raise NetdError(reason)
            try:
                into = entered(anchor(self._directory)) if mode == "user" else []
            except OSError as error:
                raise NetdError(f"no user namespace for the networks: {error}") from None
            words = [*into, sys.executable, "-P", "-m", __package__, str(self._directory), self._prefix, mode]
            with (self._directory / "netd.err").open("wb") as errors:
                self._daemon = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    start_new_session=True,
                    env=environment(),
                )
            self._await(self._daemon)

    def _await(self, daemon: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if daemon.poll() is not None:
                break
            with contextlib.suppress(NetdError):
                if self._running():
                    self._ask({"do": "health"})
                    return
            time.sleep(0.02)
        said = (self._directory / "netd.err").read_text("utf-8", "replace").strip()[-500:]
        failure = _SilentError if said == ANOTHER else NetdError
        raise failure(f"the daemon of the networks did not start: {said or 'it says nothing'}")

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        answer, descriptors = self._exchange(question)
        for descriptor in descriptors:
            os.close(descriptor)
        return answer

    def _exchange(self, question: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
        try:
            with _connected(self._directory) as connection:
                connection.sendall(json.dumps(question).encode() + b"\n")
                data, descriptors = _received(connection)
        except OSError as error:
            raise _SilentError(f"the daemon of the networks does not answer: {error}") from None
        try:
            answer: dict[str, Any] = json.loads(data)
        except ValueError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise _SilentError("the daemon of the networks ended before it answered") from None
        if "error" in answer:
            for descriptor in descriptors:
                os.close(descriptor)
            raise NetdError(str(answer["error"]))
        return answer, descriptors


@contextlib.contextmanager
def _connected(directory: Path) -> Iterator[socket.socket]:
    """A connection to the daemon."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        with sockets.short(directory / "netd.sock") as name:
            connection.connect(name)
        yield connection


def _received(connection: socket.socket) -> tuple[bytes, list[int]]:
    data, descriptors = b"", list[int]()
    while not data.endswith(b"\n") and len(data) < LONGEST_ANSWER:
        part, passed, _, _ = socket.recv_fds(connection, 65536, 4, socket.MSG_CMSG_CLOEXEC)
        descriptors += passed
        if not part:
            break
        data += part
    return data, descriptors
