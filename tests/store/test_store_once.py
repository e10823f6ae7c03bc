from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from store_helpers import Opener, child

from isthmus.core.once import Mismatch, once
from isthmus.store import Store, StoreError, answers
from isthmus.store.claims import KEPT, Claim, Taken

Run = Callable[[str], Mapping[str, Any]]


class Ran:
    """Counts its runs and keeps their seeds."""

    def __init__(self, answer: Mapping[str, Any] | None = None) -> None:
        self.seeds: list[str] = []
        self._answer = answer or {}

    def __call__(self, seed: str) -> Mapping[str, Any]:
        self.seeds.append(seed)
        return {"seed": seed, **self._answer}


class Refused:
    """Fails, and keeps the seed."""

    seed = ""

    def __call__(self, seed: str) -> Mapping[str, Any]:
        self.seed = seed
        raise ZeroDivisionError


def ask(store: Store, run: Run, now: datetime, token: str = "token", digest: str = "same", **other: str) -> Any:
    asked = {"account": "123456789012", "action": "Run", **other}
    return once(store, asked["account"], asked["action"], token, digest, now, run)


def test_the_same_request_is_run_once_and_answered_twice(store: Store, now: datetime) -> None:
    answer = {"at": now, "raw": b"\0\xff", "cost": Decimal("0.10"), "many": [{"$": "time"}, None, 1.5, True, "é"]}
    ran = Ran(answer)

    first, second = ask(store, ran, now), ask(store, ran, now)

    assert {"seed": ran.seeds[0], **answer} == first == second
    assert len(ran.seeds) == 1


def test_another_token_account_or_action_is_another_request(store: Store, now: datetime) -> None:
    ran = Ran()

    for other in ({}, {"token": "other"}, {"account": "210987654321"}, {"action": "Make"}):
        ask(store, ran, now, **other)

    assert len(set(ran.seeds)) == 4


def test_a_token_cannot_be_used_for_something_else(store: Store, now: datetime) -> None:
    ran = Ran()
    ask(store, ran, now)

    with pytest.raises(Mismatch):
        ask(store, ran, now, digest="other")

    assert len(ran.seeds) == 1


def test_a_failed_run_is_run_again_from_the_same_seed(store: Store, now: datetime) -> None:
    refused, ran = Refused(), Ran()
    with pytest.raises(ZeroDivisionError):
        ask(store, refused, now)

    ask(store, ran, now)

    assert [refused.seed] == ran.seeds


def test_after_a_failed_run_the_token_is_free_for_a_corrected_request(store: Store, now: datetime) -> None:
    refused, ran = Refused(), Ran()
    with pytest.raises(ZeroDivisionError):
        ask(store, refused, now, digest="wrong")

    ask(store, ran, now, digest="right")

    assert len(ran.seeds) == 1
    assert [refused.seed] != ran.seeds


def test_an_answer_that_cannot_be_kept_fails_and_frees_the_token(store: Store, now: datetime) -> None:
    with pytest.raises(TypeError):
        ask(store, Ran({"odd": object()}), now)

    assert ask(store, Ran(), now)


def test_a_token_is_forgotten_after_a_day(store: Store, now: datetime) -> None:
    ran = Ran()
    ask(store, ran, now)
    ask(store, ran, now + KEPT - timedelta(seconds=1), digest="same")

    ask(store, ran, now + KEPT, digest="other")

    assert len(set(ran.seeds)) == 2


def test_purging_forgets_old_tokens_alone(store: Store, now: datetime) -> None:
    ran = Ran()
    ask(store, ran, now - KEPT - timedelta(seconds=1), token="old")
    ask(store, ran, now, token="new")

    store.purge(now)

    ask(store, ran, now - KEPT - timedelta(seconds=1), token="old")
    ask(store, ran, now, token="new")
    assert len(ran.seeds) == 3


@pytest.mark.parametrize("token", ["\0", "\ud800", "é" * 10_000, "'; DROP TABLE claims; --"])
def test_any_token_will_do(store: Store, now: datetime, token: str) -> None:
    assert ask(store, Ran(), now, token=token) == ask(store, Ran(), now, token=token)


def test_threads_that_ask_at_the_same_time_wait_for_the_first(store: Store, now: datetime) -> None:
    ran, together = Ran(), threading.Barrier(8)

    def work(_: int) -> Any:
        together.wait()
        return ask(store, ran, now)

    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(work, range(8)))

    assert len(ran.seeds) == 1
    assert [{"seed": ran.seeds[0]}] * 8 == got


def test_who_waits_for_a_run_that_fails_runs_it(store: Store, now: datetime) -> None:
    begun, fail, ran = threading.Event(), threading.Event(), Ran()

    def first(seed: str) -> Mapping[str, Any]:
        begun.set()
        fail.wait(60)
        raise ZeroDivisionError

    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(ask, store, first, now)
        begun.wait(60)
        waiting = pool.submit(ask, store, ran, now)
        fail.set()
        answer = waiting.result(60)
        with pytest.raises(ZeroDivisionError):
            failing.result(60)

    assert [answer["seed"]] == ran.seeds


def test_processes_that_ask_at_the_same_time_do_it_once(store: Store, account: str, url: str) -> None:
    others = [child("once", url, account, "") for _ in range(4)]

    said = {other.communicate(timeout=60)[0] for other in others}

    assert len(said) == 1
    assert len(store.view(account).records) == 1


@contextmanager
def hanging(url: str, account: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process in the middle of a request, and its seed."""
    other = child("hang", url, account, "")
    try:
        assert other.stdout
        yield other, other.stdout.readline().strip()
    finally:
        other.kill()
        other.communicate()


def test_a_killed_process_is_taken_over_at_once_with_its_seed(store: Store, account: str, url: str) -> None:
    ran = Ran()
    with hanging(url, account) as (other, seed):
        other.send_signal(signal.SIGKILL)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(ask, store, ran, datetime.now(UTC), account=account).result(20)

    assert [seed] == ran.seeds


def test_a_killed_process_keeps_its_token_from_other_requests(store: Store, account: str, url: str) -> None:
    with hanging(url, account) as (other, _):
        other.kill()
        other.wait()

        with pytest.raises(Mismatch):
            ask(store, Ran(), datetime.now(UTC), account=account, digest="other")


def test_a_living_process_is_waited_for(store: Store, account: str, url: str, now: datetime) -> None:
    ran = Ran()
    with hanging(url, account) as (other, seed), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, store, ran, now, account=account)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        with pytest.raises(Mismatch):
            ask(store, ran, now, account=account, digest="other")
        other.kill()
        waiting.result(20)

    assert [seed] == ran.seeds


def test_a_process_of_another_host_is_taken_over_when_its_lease_is_over(store: Store, url: str, now: datetime) -> None:
    claim = Claim.of("123456789012", "Run", "token", "same")
    taken = store.claims.take(claim, now)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE claims SET holder = 'elsewhere/1/2/3/4', lease = lease - 58"))
    ran = Ran()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(ask, store, ran, now).result(20)
    engine.dispose()

    assert isinstance(taken, Taken)
    assert [taken.seed] == ran.seeds
    assert not store.claims.finish(claim, "{}"), "who lost its lease has no say any more"


def test_a_failure_of_the_store_leaves_the_claim_to_the_next(opened: Opener, url: str, now: datetime) -> None:
    store, ran, engine = opened(), Ran(), create_engine(url)

    def lose_the_table(seed: str) -> Mapping[str, Any]:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE claims RENAME TO lost"))
        return ran(seed)

    with pytest.raises(StoreError):
        ask(store, lose_the_table, now)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE lost RENAME TO claims"))
    engine.dispose()

    ask(store, ran, now)
    assert ran.seeds[0] == ran.seeds[1]


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.binary()
    | st.floats(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.datetimes(timezones=st.just(UTC))
)
_WORDS = st.text() | st.sampled_from(["$", "value"])


@given(st.dictionaries(_WORDS, st.recursive(_LEAVES, lambda one: st.lists(one) | st.dictionaries(_WORDS, one))))
def test_an_answer_survives_being_kept(answer: dict[str, Any]) -> None:
    assert answer == answers.loads(answers.dumps(answer))
