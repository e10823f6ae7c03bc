from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.imds.tokens import Tokens

SECRET = b"k" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now


def test_a_token_lives_exactly_as_long_as_asked() -> None:
    clock = Clock()
    tokens = Tokens(SECRET, clock)
    token = tokens.issue("i-1", 60)

    clock.now += 59.9
    assert tokens.valid("i-1", token)
    clock.now += 0.1
    assert not tokens.valid("i-1", token)


def test_a_token_is_one_guests_own() -> None:
    tokens = Tokens(SECRET, Clock())

    assert not tokens.valid("i-2", tokens.issue("i-1", 60))


def test_a_token_looks_like_one_of_ec2() -> None:
    token = Tokens(SECRET, Clock()).issue("i-1", 60)

    assert len(token) == 56
    assert token.endswith("==")


def test_a_token_is_good_in_every_process_and_after_a_restart(tmp_path: Path) -> None:
    token = Tokens.kept_in(tmp_path).issue("i-1", 60)

    assert Tokens.kept_in(tmp_path).valid("i-1", token)
    assert (tmp_path / "imds-tokens.key").stat().st_mode & 0o777 == 0o600


def test_a_token_of_another_secret_is_none() -> None:
    assert not Tokens(b"x" * 32, Clock()).valid("i-1", Tokens(SECRET, Clock()).issue("i-1", 60))


@pytest.mark.parametrize("seconds", [0, -1, 21601])
def test_a_life_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match="1 to 21600"):
        Tokens(SECRET).issue("i-1", seconds)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"short")


@given(st.data())
def test_no_token_survives_a_change(data: st.DataObject) -> None:
    tokens = Tokens(SECRET, Clock())
    token = tokens.issue("i-1", 21600)
    at = data.draw(st.integers(0, len(token)))
    width = data.draw(st.integers(0, 3))
    changed = token[:at] + data.draw(st.text(max_size=3)) + token[at + width :]

    assert tokens.valid("i-1", changed) == (changed == token)


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    assert not Tokens(SECRET, Clock()).valid("i-1", text)
