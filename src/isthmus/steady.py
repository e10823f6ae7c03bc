"""One request sees each listing of a remote cloud once, until it changes something there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from isthmus.memo import Memo


class Steady:
    """A session whose listings stay as they were first read, until any other of its verbs is called."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._memo = Memo()

    def quotas(self) -> Mapping[str, int]:
        said: Mapping[str, int] = self._memo.get(("quotas",), self._session.quotas)
        return said

    def __getattr__(self, name: str) -> Any:
        family = getattr(self._session, name)
        return None if family is None else _Family(self._memo, name, family)


class _Family:
    def __init__(self, memo: Memo, name: str, family: Any) -> None:
        self._memo = memo
        self._name = name
        self._family = family

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._family, verb)
        if verb.startswith("list_"):
            return lambda natives=None, **named: self._listed(verb, method, natives, named)
        return lambda *given, **named: self._changed(method, *given, **named)

    def _listed(self, verb: str, method: Callable[..., Any], natives: Any, named: Mapping[str, Any]) -> Any:
        asked = (self._name, verb, *named.items())
        if natives is None:
            return self._memo.get(asked, lambda: method(**named))
        return self._memo.get((*asked, frozenset(natives)), lambda: method(natives, **named))

    def _changed(self, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        try:
            return method(*given, **named)
        finally:
            self._memo.clear()
