from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from store_helpers import Opener, child, put, record

from isthmus.store import Store


def test_an_account_begins_with_nothing(store: Store, account: str) -> None:
    view = store.view(account)

    assert (dict(view.records), dict(view.tags), dict(view.of_kind("server"))) == ({}, {}, {})
    assert view.by_native("here", "server", "x") is None


def test_what_was_put_is_found_again_in_every_way(store: Store, account: str) -> None:
    made = record(account, 1, gone=datetime.now(UTC))

    put(store, made)

    view = store.view(account)
    assert {made.id: made} == view.records == view.of_kind("server")
    assert made == view.by_native("here", "server", "native-1") == store.find(made.id)


def test_another_account_sees_nothing_of_it(store: Store, account: str) -> None:
    put(store, record(account, 1))

    assert not store.view("210987654321").records


def test_a_view_is_the_same_object_while_nothing_changes(store: Store, account: str) -> None:
    put(store, record(account, 1))
    view = store.view(account)
    with store.change("210987654321") as change:
        change.put(record("210987654321", 2))

    assert view is store.view(account)


def test_a_view_never_changes(store: Store, account: str) -> None:
    put(store, record(account, 1), record(account, 2))
    before = store.view(account)

    with store.change(account) as change:
        change.drop(record(account, 1).id)
        change.update(record(account, 2).id, native="other")
        change.tag([record(account, 2).id], {"a": "b"})
    store.view(account)

    assert 2 == len(before.records) == len(before.of_kind("server"))
    assert before.by_native("here", "server", "native-2")
    assert not before.tags


def test_what_did_not_change_stays_the_identical_object(store: Store, account: str) -> None:
    first, second, third = (record(account, number) for number in (1, 2, 3))
    put(store, first, second)
    with store.change(account) as change:
        change.tag([first.id, second.id], {"a": "1"})
    before = store.view(account)

    put(store, third)
    with store.change(account) as change:
        change.update(second.id, data={"new": True})
        change.tag([second.id], {"a": "2"})
    after = store.view(account)

    assert before.records[first.id] is after.records[first.id] is after.of_kind("server")[first.id]
    assert before.tags[first.id] is after.tags[first.id]
    assert after.records[second.id].data == {"new": True}
    assert after.tags[second.id] == {"a": "2"}
    assert [first.id, second.id, third.id] == list(after.records)


def test_another_process_sees_only_the_difference(opened: Opener) -> None:
    one, other = opened(), opened()
    account = one.create_account("shared").id
    put(one, record(account, 1), record(account, 2))
    before = other.view(account)

    with one.change(account) as change:
        change.drop(record(account, 1).id)
        change.put(record(account, 3))
    after = other.view(account)

    assert [record(account, 2).id, record(account, 3).id] == list(after.records)
    assert before.records[record(account, 2).id] is after.records[record(account, 2).id]


def test_a_new_native_id_replaces_the_old_one(store: Store, account: str) -> None:
    made = record(account, 1, native="")
    put(store, made)

    with store.change(account) as change:
        change.update(made.id, native="first")
    with store.change(account) as change:
        change.update(made.id, native="second")

    view = store.view(account)
    assert view.by_native("here", "server", "first") is None
    assert view.by_native("here", "server", "second") == replace(made, native="second")


def test_a_record_of_another_kind_moves(store: Store, account: str) -> None:
    put(store, record(account, 1))
    store.view(account)

    put(store, record(account, 1, kind="volume"))

    view = store.view(account)
    assert not view.of_kind("server")
    assert [record(account, 1).id] == list(view.of_kind("volume"))


def test_a_dropped_record_is_gone_with_its_tags_and_can_come_again(store: Store, account: str) -> None:
    made = record(account, 1)
    put(store, made)
    with store.change(account) as change:
        change.tag([made.id], {"a": "b"})

    with store.change(account) as change:
        change.drop(made.id)
        change.drop("i-unknown")

    assert (store.find(made.id), store.view(account).records, store.view(account).tags) == (None, {}, {})
    put(store, made)
    assert made == store.view(account).records[made.id]


def test_an_exception_undoes_the_change(store: Store, account: str) -> None:
    before = store.view(account)

    def fail() -> None:
        with store.change(account) as change:
            change.put(record(account, 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert before is store.view(account)


def test_a_record_that_is_not_there_cannot_be_updated(store: Store, account: str) -> None:
    put(store, record("210987654321", 1))

    with pytest.raises(KeyError), store.change(account) as change:
        change.update(record(account, 1).id, native="mine")

    assert store.view("210987654321").records[record(account, 1).id].native == "native-1"


def test_a_record_of_another_account_cannot_be_taken(store: Store, account: str) -> None:
    theirs = record("210987654321", 1)
    put(store, theirs)

    for stolen in (record(account, 1), theirs):
        with pytest.raises(ValueError, match="another account"), store.change(account) as change:
            change.put(stolen)

    assert theirs == store.find(theirs.id)


def test_a_change_within_a_change_is_a_mistake(store: Store, account: str) -> None:
    with pytest.raises(RuntimeError), store.change(account), store.change("210987654321"):
        pass

    put(store, record(account, 1))


def test_a_change_sees_the_account_as_it_was_before(store: Store, account: str) -> None:
    put(store, record(account, 1))

    with store.change(account) as change:
        change.put(record(account, 2))
        assert [record(account, 1).id] == list(change.view.records)


def test_tags_keep_their_order_and_places(store: Store, account: str) -> None:
    with store.change(account) as change:
        change.tag(["vol-1", "vol-2"], {"z": "1", "a": "2"})
        change.tag(["vol-1"], {"m": "", "z": "4"})

    assert list(store.view(account).tags["vol-1"].items()) == [("z", "4"), ("a", "2"), ("m", "")]
    assert list(store.view(account).tags["vol-2"].items()) == [("z", "1"), ("a", "2")]


def test_tags_that_this_process_gives_are_told_as_another_one_reads_them(opened: Opener) -> None:
    store, other = opened(), opened()
    account = store.create_account("acme").id
    for given in ({"a": "1"}, {"b": "ä"}, {"a": "2"}):
        store.view(account)
        with store.change(account) as change:
            change.tag(["i-1", "i-2"], given)
        with store.change(account) as change:
            change.untag(["i-2"], ["b"])
    with other.change(account) as change:
        change.tag(["i-3"], {"c": "3"})
    with store.change(account) as change:
        change.tag(["i-4"], {})
        change.tag(["i-4"], {"d": "4"})

    found = [[(known, list(held.items())) for known, held in one.view(account).tags.items()] for one in (store, other)]

    assert found[0] == found[1]
    assert dict(found[0]) == {
        "i-1": [("a", "2"), ("b", "ä")],
        "i-2": [("a", "2")],
        "i-3": [("c", "3")],
        "i-4": [("d", "4")],
    }


def test_tags_are_taken_away_by_key_or_all_together(store: Store, account: str) -> None:
    with store.change(account) as change:
        change.tag(["vol-1", "vol-2"], {"a": "1", "b": "2"})

    with store.change(account) as change:
        change.untag(["vol-1", "vol-3"], ["a", "unknown"])
        change.untag(["vol-2"])

    assert store.view(account).tags == {"vol-1": {"b": "2"}}


def test_times_are_given_back_in_utc_to_the_microsecond(store: Store, account: str) -> None:
    made = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=-9)))
    put(store, record(account, 1, created=made))

    [found] = store.view(account).records.values()
    assert (made, timedelta(0)) == (found.created, found.created.utcoffset())


def test_a_time_without_a_zone_is_refused(store: Store, account: str) -> None:
    with pytest.raises(Exception, match="zone"):
        put(store, record(account, 1, created=datetime(2026, 7, 1)))

    assert not store.view(account).records


def test_the_repairing_loop_finds_its_records(store: Store, account: str, now: datetime) -> None:
    begun = record(account, 1, native="")
    long_gone = record(account, 2, gone=now - timedelta(hours=2))
    just_gone = record("210987654321", 3, gone=now, kind="volume")
    put(store, begun, long_gone)
    put(store, just_gone)

    assert [begun] == store.unfinished("server")
    assert store.unfinished("volume") == []
    assert [long_gone] == store.gone_before(now - timedelta(hours=1))
    assert sorted([account, "210987654321"]) == store.accounts_with_records()
    assert [long_gone] == store.records_where("server", cloud="here", native="native-2")
    assert store.records_where("server", cloud="there") == []


def test_purging_changes_no_view(opened: Opener, now: datetime) -> None:
    one, other = opened(), opened()
    account = one.create_account("shared").id
    put(one, record(account, 1), record(account, 2))
    behind = other.view(account)
    with one.change(account) as change:
        change.tag(["vol-1"], {"a": "b"})
        change.drop(record(account, 1).id)
        change.untag(["vol-1"])
    current = one.view(account)

    one.purge(now)

    assert len(behind.records) == 2
    assert current is one.view(account)
    assert current.records == other.view(account).records
    assert other.view(account).tags == {}


@pytest.mark.parametrize("known", ["", "i-\0", "i-\ud800", "x" * 100_000, "'; DROP TABLE records; --"])
def test_an_odd_id_is_not_found(store: Store, known: str) -> None:
    assert store.find(known) is None


def test_odd_words_survive_in_data_and_tags(store: Store, account: str) -> None:
    odd = {"nul": "\0", "half": "\ud800", "quote": "'\"\\", "smile": "😀"}
    put(store, record(account, 1, data=odd))
    with store.change(account) as change:
        change.tag(["vol-1"], odd)

    assert odd == store.view(account).records[record(account, 1).id].data
    assert odd == store.view(account).tags["vol-1"]


def test_two_processes_change_one_account_without_losing_anything(store: Store, account: str, url: str) -> None:
    put(store, record(account, 0, id="i-" + "f" * 17, data={"count": 0}))

    others = [child("put", url, account, first) for first in ("1000", "2000")]
    while any(other.poll() is None for other in others):
        store.view(account)

    assert [other.wait() for other in others] == [0, 0]
    assert store.view(account).records["i-" + "f" * 17].data == {"count": 100}
    assert len(store.view(account).records) == 101


def test_many_threads_see_what_each_has_written(store: Store, account: str) -> None:
    failed: list[int] = []

    def work(thread: int) -> None:
        for number in range(thread * 100, thread * 100 + 20):
            put(store, record(account, number))
            if record(account, number).id not in store.view(account).records:
                failed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failed, len(store.view(account).records)) == ([], 160)


IMAGE, NOW = ("image", "here", "image-1"), datetime(2026, 1, 2, tzinfo=UTC)


def test_what_all_accounts_know_is_in_every_view_and_no_account_has_it(store: Store, account: str) -> None:
    put(store, record(account, 1))
    before = store.view(account)
    assert "" == before.common_id("here", "image", "image-1")

    assert store.let_all_know("ami-00000005", *IMAGE, NOW)

    store._views._common_until = 0
    now = store.view(account)
    assert now is store.view(account)
    assert None is now.trail.since(before.trail), "what was joined before is to be joined anew"
    assert {"ami-00000005"} == {one.common_id("here", "image", "image-1") for one in (now, store.view("1"))}
    assert ("", "") == (now.common_id("there", "image", "image-1"), now.common_id("here", "kernel", "image-1"))
    assert before.records == now.records
    assert [account] == list(store.accounts_with_records())
    put(store, record(account, 2))
    assert 2 == len(store.view(account).records)
    assert "ami-00000005" == store.view(account).common_id("here", "image", "image-1")


def test_an_id_that_all_know_is_one_things_alone(store: Store, account: str) -> None:
    put(store, record(account, 1))

    assert store.let_all_know("ami-00000005", *IMAGE, NOW)
    assert store.let_all_know("ami-00000005", *IMAGE, NOW), "it is so already"
    assert not store.let_all_know("ami-00000006", *IMAGE, NOW)
    assert not store.let_all_know("ami-00000005", "image", "here", "image-2", NOW)
    assert not store.let_all_know(record(account, 1).id, "image", "here", "image-2", NOW)
