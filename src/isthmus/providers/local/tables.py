"""Records as small JSON files, shared by several processes: atomic renames to write, no lock to read."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import threading
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from isthmus.errors import NotFound
from isthmus.providers.local.codec import decode, encode

_log = logging.getLogger(__name__)
_NATIVE = re.compile(r"[a-z0-9][a-z0-9-]{0,79}", re.ASCII)
SETTLED = 100_000_000
"""Nanoseconds after which a directory's time of change can be trusted to show the next change."""


class Noun(Protocol):
    @property
    def native(self) -> str: ...
    @property
    def ref(self) -> str: ...


class Record(Protocol):
    @property
    def tenant(self) -> str: ...
    @property
    def noun(self) -> Noun: ...
    @property
    def made(self) -> int: ...


R = TypeVar("R", bound=Record)


def write(path: Path, content: str) -> None:
    """Replace a file at once and for good."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class Table(Generic[R]):
    """All records of one kind. Reading sees every finished write of every process."""

    def __init__(self, directory: Path, kind: type[R], word: str) -> None:
        self._directory = directory
        self._kind = kind
        self._word = word
        self._cache: dict[str, tuple[tuple[int, int], R]] = {}
        self._listing: tuple[int, int, tuple[R, ...]] = (0, 0, ())
        self._mutex = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True)

    def everything(self) -> tuple[R, ...]:
        """All tenants' records in the order in which they were made."""
        with self._mutex:
            changed, read, records = self._listing
            now_changed = self._directory.stat().st_mtime_ns
            if now_changed == changed and read > changed + SETTLED:
                return records
            read = time.time_ns()
            found = {name: record for name in self._names() if (record := self._load(name))}
            self._cache = {name: self._cache[name] for name in found if name in self._cache}
            records = tuple(sorted(found.values(), key=lambda record: (record.made, record.noun.native)))
            self._listing = (now_changed, read, records)
            return records

    def owned(self, tenant: str) -> tuple[R, ...]:
        return tuple(record for record in self.everything() if record.tenant == tenant)

    def listed(self, tenant: str, natives: Collection[str] | None) -> tuple[R, ...]:
        wanted = None if natives is None else frozenset(natives)
        return tuple(record for record in self.owned(tenant) if wanted is None or record.noun.native in wanted)

    def raw(self, native: str) -> R | None:
        """The record, whoever's it is."""
        if not _NATIVE.fullmatch(native):
            return None
        with self._mutex:
            return self._load(native)

    def find(self, tenant: str, native: str) -> R | None:
        record = self.raw(native)
        return record if record and record.tenant == tenant else None

    def get(self, tenant: str, native: str) -> R:
        if record := self.find(tenant, native):
            return record
        raise NotFound(self._word, native)

    def by_ref(self, tenant: str, ref: str) -> R | None:
        return next((record for record in self.owned(tenant) if record.noun.ref == ref), None) if ref else None

    def put(self, record: R) -> R:
        write(self._directory / f"{record.noun.native}.json", json.dumps(encode(record)))
        return record

    def drop(self, native: str) -> None:
        (self._directory / f"{native}.json").unlink(missing_ok=True)

    def _names(self) -> Iterable[str]:
        with os.scandir(self._directory) as entries:
            return [e.name[:-5] for e in entries if e.name.endswith(".json") and not e.name.startswith(".")]

    def _load(self, native: str) -> R | None:
        path = f"{self._directory}/{native}.json"
        try:
            status = os.stat(path)  # noqa: PTH116 - three times as fast, and there may be thousands
            version = (status.st_ino, status.st_mtime_ns)
            if (cached := self._cache.get(native)) and cached[0] == version:
                return cached[1]
            record: R = decode(self._kind, json.loads(Path(path).read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            _log.error("the record %s/%s is damaged and left out: %s", self._word, native, error)
            return None
        self._cache[native] = (version, record)
        return record


class FileLock:
    """A lock between processes and threads, freed by the kernel when its holder dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def acquire(self, *, wait: bool = True) -> bool:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()


class CloudLock:
    """The one lock for changing records. Held for milliseconds; a thread may take it again."""

    def __init__(self, path: Path) -> None:
        self._mutex = threading.RLock()
        self._file = FileLock(path)
        self._depth = 0

    def __enter__(self) -> None:
        self._mutex.acquire()
        if self._depth == 0:
            self._file.acquire()
        self._depth += 1

    def __exit__(self, *_: Any) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._file.release()
        self._mutex.release()
