"""Filter values: exact, or with `*` and `?`; a backslash before either, or before another one, takes its meaning away.

A pattern is cut at its stars into pieces of fixed length, each found in turn: nothing is ever tried twice, so that no
pattern takes longer than the product of its length and that of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_TOKEN = re.compile(r"\\([*?\\])|([*?])|(.)", re.DOTALL)

Piece = tuple[re.Pattern[str], int]


def any_of(values: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text is matched by at least one of the values."""
    exact: set[str] = set()
    globs: list[Callable[[str], bool]] = []
    for value in values:
        if "*" in value or "?" in value:
            globs.append(glob(value))
        else:
            exact.add(value.replace("\\\\", "\\"))

    def matches(text: str) -> bool:
        return text in exact or any(each(text) for each in globs)

    return matches


def glob(value: str) -> Callable[[str], bool]:
    """Whether a text is matched by a pattern as a whole."""
    pieces = _pieces(value)
    if len(pieces) == 1:
        whole = pieces[0][0]
        return lambda text: whole.fullmatch(text) is not None
    (first, head), (last, tail) = pieces[0], pieces[-1]
    between = pieces[1:-1]
    shortest = sum(length for _, length in pieces)

    def matches(text: str) -> bool:
        end = len(text) - tail
        if len(text) < shortest or not first.match(text) or not last.match(text, end):
            return False
        start = head
        for piece, _ in between:
            found = piece.search(text, start, end)
            if found is None:
                return False
            start = found.end()
        return True

    return matches


def _pieces(value: str) -> list[Piece]:
    """What is between the stars, each with its length."""
    texts: list[list[str]] = [[]]
    for escaped, special, plain in _TOKEN.findall(value):
        if special == "*":
            texts.append([])
        else:
            texts[-1].append("." if special else re.escape(escaped or plain))
    inner = [text for text in texts[1:-1] if text]
    kept = [texts[0], *inner, texts[-1]] if len(texts) > 1 else texts
    return [(re.compile("".join(text), re.DOTALL), len(text)) for text in kept]
