"""One request sees each listing of a remote cloud once, until it changes something there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Steady:
    """A session whose listings stay as they were first read, until any other of its verbs is called."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._read: dict[tuple[object, ...], Any] = {}
        self._locks: dict[tuple[object, ...], threading.Lock] = {}

    def __getattr__(self, name: str) -> Any:
        family = getattr(self._session, name)
        return None if family is None else _Family(self, name, family)

    def listing(self, what: tuple[object, ...], read: Callable[[], Any]) -> Any:
        """Two who ask for the same thing at the same time ask for it once."""
        kept = self._read
        with self._locks.setdefault(what, threading.Lock()):
            if what not in kept:
                kept[what] = read()
            return kept[what]

    def forget(self) -> None:
        self._read = {}


class _Family:
    def __init__(self, steady: Steady, name: str, family: Any) -> None:
        self._steady = steady
        self._name = name
        self._family = family

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._family, verb)
        if verb.startswith("list_"):
            return lambda natives=None: self._listed(verb, method, natives)
        return lambda *given, **named: self._changed(method, *given, **named)

    def _listed(self, verb: str, method: Callable[..., Any], natives: Any) -> Any:
        if natives is None:
            return self._steady.listing((self._name, verb), method)
        return self._steady.listing((self._name, verb, frozenset(natives)), lambda: method(natives))

    def _changed(self, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        finally:
            self._steady.forget()
