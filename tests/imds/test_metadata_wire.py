from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.imds.wire import Refused, parse

PIECES = st.sampled_from(
    [
        b"GET",
        b"PUT",
        b" ",
        b"/latest/",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\n",
        b"\r",
        b"Host:",
        b"x",
        b"\0",
        b"\xff",
        b"?",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=20).map(b"".join)))
def test_any_bytes_are_a_request_or_are_refused(head: bytes) -> None:
    with suppress(Refused):
        request = parse(head + b"\r\n\r\n")
        assert request.path.startswith("/")


@pytest.mark.parametrize("filler", [b" ", b"\t", b"a ", b"a", b":"])
def test_no_head_is_slow_to_read(filler: bytes) -> None:
    start = time.process_time()
    with suppress(Refused):
        parse(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + filler * (16_000 // len(filler)) + b"\0\r\n\r\n")

    assert time.process_time() - start < 0.2


def test_a_repeated_header_is_joined() -> None:
    head = b"GET / HTTP/1.1\r\nhost: x\r\nX-Forwarded-For: a\r\nx-forwarded-for:b \r\n\r\n"

    assert parse(head).headers == {"host": "x", "x-forwarded-for": "a, b"}
