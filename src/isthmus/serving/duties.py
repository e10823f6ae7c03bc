"""What one process of a host does for all: it mends records and serves the guests' metadata."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.config import Settings, metadata_socket
from isthmus.gateway import Gateway
from isthmus.opening import Agents, metadata_agents

if TYPE_CHECKING:
    from isthmus.imds.server import Metadata, Running

log = logging.getLogger("isthmus.serving.duties")

_ASK_SECONDS = 1.0
"""How soon another process takes over when the one that does the duties dies."""
_END_SECONDS = 10.0
"""How long a duty that is being done may hold up the end of the process."""
_GRACE = timedelta(minutes=10)
"""How long a creation may be under way before its record is taken for left over."""
_AGAIN_SECONDS = 5.0
"""How long to wait after a duty failed."""


class Duties:
    """A thread that waits for its turn, then does the duties until it is stopped. Raises ConfigError at once."""

    def __init__(self, gateway: Gateway, settings: Settings) -> None:
        self._gateway = gateway
        self._settings = settings
        self._agents = metadata_agents(settings)
        self._stop = threading.Event()
        self._presence = Presence(settings.run / "present")
        self._begun = gateway.world.clock()
        self._thread = threading.Thread(target=self._run, name="duties", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for what is being done right now."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)
        self._presence.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with turn(self._settings.run / "leader") as mine:
                    if mine:
                        log.info("process %d does the background duties", os.getpid())
                        self._lead()
            except Exception:
                log.exception("the background duties failed; they are taken up again in a moment")
                self._stop.wait(_AGAIN_SECONDS)
            self._stop.wait(_ASK_SECONDS)

    def _lead(self) -> None:
        clock = self._gateway.world.clock
        oldest = self._begun if self._presence.alone else clock() - _GRACE
        waiting: dict[str, Path | Agents] = {
            cloud.name: socket
            for cloud in self._settings.clouds.values()
            if cloud.kind == "local" and (socket := metadata_socket(self._settings, cloud.name))
        }
        waiting.update(self._agents)
        with ExitStack() as stack:
            while not self._stop.is_set():
                self._serve_metadata(waiting, stack)
                self._mend(oldest)
                self._stop.wait(self._settings.background.reconcile_seconds)
                oldest = clock() - _GRACE

    def _serve_metadata(self, waiting: dict[str, Path | Agents], stack: ExitStack) -> None:
        """Answer the guests of the clouds that wait for it; those that cannot be served yet go on waiting."""
        for cloud, where in list(waiting.items()):
            try:
                stack.callback(self._listen(cloud, where).stop)
            except Exception:
                log.exception("the guests of %s get no metadata; it is tried again at the next round", cloud)
            else:
                del waiting[cloud]

    def _mend(self, oldest: datetime) -> None:
        try:
            self._gateway.reconciler.once(oldest)
        except Exception:
            log.exception("mending failed; it is tried again at the next round")

    def _listen(self, cloud: str, where: Path | Agents) -> Running[Any]:
        if isinstance(where, Path):
            return self._metadata(cloud).run_in_thread(where)
        from isthmus.imds.agent import Agent
        from isthmus.imds.guests import known

        agent = Agent(where.secret, where.nova, known(self._gateway.world, cloud))
        running = self._metadata(cloud).run_for_agents(agent, where.listen.host, where.listen.port)
        log.info("the metadata agents of %s are answered on %s:%d", cloud, *running.listening)
        return running

    def _metadata(self, cloud: str) -> Metadata:
        from isthmus.imds.guests import lookup
        from isthmus.imds.identity import Identity
        from isthmus.imds.server import Metadata
        from isthmus.imds.tokens import Tokens

        kept = self._settings.state / "metadata"
        kept.mkdir(mode=0o700, exist_ok=True)
        return Metadata(lookup(self._gateway.world, cloud), Tokens.kept_in(kept), Identity.kept_in(kept))


class Presence:
    """A mark that this process serves. `alone`: when it was set, no other process served on this host, so that what
    was under way before cannot be under way any more."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.alone = True
        except BlockingIOError:
            self.alone = False
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        os.close(self._descriptor)


@contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Whether it is this process's turn: the lock is nobody else's, and stays ours to the end."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait until no other process is in here, and keep others out."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
