"""What is seen from outside of the running service: its log, one line of JSON for each event, and its metrics."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_LONGEST_WORD = 64
_MOST_SERIES = 4000
"""How many pairs of action and code are counted apart: clients choose both words."""


class Lines(logging.Formatter):
    """Log records as JSON. Of an exception it tells type and place, not the words: those may quote a request."""

    def format(self, record: logging.LogRecord) -> str:
        line = (
            f'{{"time":"{_now(record.created)}","level":"{record.levelname.lower()}",'
            f'"logger":{quoted(record.name)},"message":{quoted(record.getMessage())}'
        )
        if record.exc_info and record.exc_info[1]:
            line += ',"exception":[' + ",".join(quoted(one) for one in _places(record.exc_info[1])) + "]"
        return line + "}"


class Direct(logging.Handler):
    """Writes a record to standard error in one system call."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            write(self.format(record))
        except Exception:
            self.handleError(record)


def set_up_log(level: str) -> None:
    """Everything that the process logs goes to standard error, as one line of JSON each."""
    handler = Direct()
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn", "uvicorn.error", "alembic", "botocore", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def write(line: str) -> None:
    """One whole line to standard error; lost if nobody can take it."""
    try:
        os.write(2, (line + "\n").encode("ascii", "replace"))
    except OSError:
        return


def request_line(
    request_id: str, account: str, action: str, status: int, code: str, seconds: float, taken: int, given: int
) -> str:
    """The line of one request. `taken` and `given` are bytes of its body and of the answer's."""
    return (
        f'{{"time":"{_now(time.time())}","level":"info","logger":"isthmus.request","id":{_word(request_id)},'
        f'"account":{_word(account)},"action":{_word(action)},"status":{status},"code":{_word(code)},'
        f'"ms":{seconds * 1000:.2f},"in":{taken},"out":{given}}}'
    )


def _word(word: str) -> str:
    return quoted(word[:_LONGEST_WORD])


def _now(seconds: float) -> str:
    whole = int(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((seconds - whole) * 1000):03}Z"


def _places(error: BaseException) -> Iterator[str]:
    """An exception and its causes, each with the lines it passed on its way, the innermost last."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield type(current).__qualname__
        yield from _frames(current.__traceback__)
        current = current.__cause__ or current.__context__


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f"{_short(code.co_filename)}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-3:])


class Metrics:
    """Counts requests. In one of several processes it counts for all: each keeps its part in `shared`."""

    def __init__(self, shared: Path | None = None) -> None:
        if shared:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._shared = shared
        self._registry = CollectorRegistry()
        registry = None if shared else self._registry
        self._requests = Counter(
            "isthmus_requests", "Requests answered.", ("service", "action", "code"), registry=registry
        )
        self._seconds = Histogram(
            "isthmus_request_seconds",
            "Time from the arrival of a request's head to its answer.",
            ("service",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.in_flight = Gauge(
            "isthmus_requests_in_flight", "Requests being worked on.", registry=registry, multiprocess_mode="livesum"
        )
        self._counters: dict[tuple[str, str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def count(self, service: str, action: str, code: str, seconds: float) -> None:
        key = (service, action, code)
        counter = self._counters.get(key)
        if counter is None:
            if len(self._counters) >= _MOST_SERIES:
                key = (service, "other", code if code.isalpha() and len(self._counters) < 2 * _MOST_SERIES else "other")
            counter = self._counters[key] = self._requests.labels(*key)
        counter.inc()
        timer = self._timers.get(service)
        if timer is None:
            timer = self._timers[service] = self._seconds.labels(service)
        timer.observe(seconds)

    def text(self) -> bytes:
        """All counts in Prometheus's text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._collected())

    def _collected(self) -> CollectorRegistry:
        if not self._shared:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._shared))  # type: ignore[no-untyped-call]
        return registry


def forget_process(shared: Path, pid: int) -> None:
    """Take a process that is gone out of the gauges of those that live."""
    for left in shared.glob(f"gauge_live*_{pid}.db"):
        left.unlink(missing_ok=True)


def metrics_directory(run: Path) -> Path:
    """An empty directory for the counts of this process's workers. Those of services that are gone are removed."""
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in run.glob("metrics-*"):
        if not _alive(left.name.removeprefix("metrics-")):
            remove(left)
    made = run / f"metrics-{os.getpid()}"
    remove(made)
    made.mkdir(mode=0o700)
    return made


def remove(directory: Path) -> None:
    """Remove a directory of counts, if it is there."""
    shutil.rmtree(directory, ignore_errors=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def say(text: str) -> None:
    """Tell the person who started the service."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
