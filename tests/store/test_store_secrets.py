from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isthmus.store import StoreError
from isthmus.store.secrets import Vault, load_or_create


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: load_or_create(path), range(8)))

    assert {32} == {len(key) for key in keys}
    assert {load_or_create(path)} == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_of_the_wrong_length_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(StoreError, match="32"):
        load_or_create(path)

    assert content == path.read_bytes()


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_or_create(path)
    path.chmod(0o640)

    with pytest.raises(StoreError, match="chmod 600"):
        load_or_create(path)


def test_a_place_that_cannot_hold_a_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    for path in (tmp_path / "file" / "key", tmp_path / "missing" / "key", Path("/proc/key")):
        with pytest.raises(StoreError):
            load_or_create(path)


def test_what_was_locked_opens_with_its_key_and_name_alone() -> None:
    vault = Vault(bytes(32))
    locked = vault.lock(b"secret", "name")

    assert vault.unlock(locked, "name") == b"secret"
    assert locked != vault.lock(b"secret", "name")
    for other, text, name in [
        (vault, locked, "other"),
        (Vault(b"x" * 32), locked, "name"),
        (vault, locked[:-1], "name"),
        (vault, b"", "name"),
    ]:
        with pytest.raises(StoreError):
            other.unlock(text, name)
