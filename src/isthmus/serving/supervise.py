"""Several worker processes on one socket: started, replaced when they die, and ended together.

The supervisor loads nothing of the service itself. A worker gets its orders as one line on standard input, which
stays open as its lifeline: when it closes, the supervisor is gone, and the worker ends too.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from isthmus.config import Settings
from isthmus.options import Merged
from isthmus.serving.observe import forget_process, metrics_directory, remove

log = logging.getLogger("isthmus.workers")

_TICK = 0.2
_MOST_PATIENCE = 10.0
_KILL_AFTER = 5.0
"""Seconds beyond `stop_seconds` that a worker gets before it is killed."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    begun: float = field(default_factory=time.monotonic)


class Supervisor:
    def __init__(self, settings: Settings, merged: Merged, bound: socket.socket, ready: Callable[[bool], None]) -> None:
        self._settings = settings
        self._merged = merged
        self._bound = bound
        self._ready = ready
        self._shared = metrics_directory(settings.run)
        self._workers: list[_Worker] = []
        self._stopping = False
        self._patience = 0.0
        self._not_before = 0.0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. Answers the exit code: that of the first worker, if it cannot begin."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        code = self._first()
        while code is None and not self._stopping:
            self._replace()
            time.sleep(_TICK)
        self._end()
        remove(self._shared)
        return code or 0

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self._stopping = True
        for worker in self._workers:
            worker.process.terminate()

    def _first(self) -> int | None:
        """Start one worker and wait until it answers: what keeps it from beginning would keep them all."""
        process = self._start().process
        assert process.stdout  # noqa: S101
        word = process.stdout.readline()
        if not word:
            return 0 if self._stopping else process.wait() or 1
        self._ready(word == b"first\n")
        return None

    def _start(self) -> _Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "isthmus.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._bound.fileno(),),
            start_new_session=True,
        )
        order = {
            "values": self._merged.values,
            "source": self._merged.source,
            "origins": self._merged.origins,
            "socket": self._bound.fileno(),
            "shared": str(self._shared),
        }
        assert process.stdin  # noqa: S101
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        worker = _Worker(process)
        self._workers.append(worker)
        return worker

    def _replace(self) -> None:
        """Start as many workers as are missing, patiently if they keep dying young."""
        for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
            self._workers.remove(worker)
            self._bury(worker)
        if time.monotonic() < self._not_before:
            return
        while len(self._workers) < self._settings.workers:
            self._start()

    def _bury(self, worker: _Worker) -> None:
        forget_process(self._shared, worker.process.pid)
        for pipe in (worker.process.stdin, worker.process.stdout):
            if pipe:
                pipe.close()
        young = time.monotonic() - worker.begun < _MOST_PATIENCE
        self._patience = min(self._patience * 2 + 0.5, _MOST_PATIENCE) if young else 0.0
        self._not_before = time.monotonic() + self._patience
        log.error(
            "worker %d ended with code %s; another takes its place", worker.process.pid, worker.process.returncode
        )

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + self._settings.http.stop_seconds + _KILL_AFTER
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
