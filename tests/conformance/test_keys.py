"""The rules K: SSH keys."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from isthmus.errors import Conflict, Invalid
from isthmus.providers import Capability

from .kit import Maker, Patience, public_key, refused

pytestmark = pytest.mark.needs("keys")


def rsa_key() -> str:
    key = generate_private_key(65537, 2048).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.needs(Capability.KEY_PUBLIC)
@pytest.mark.parametrize("public", [public_key, rsa_key], ids=["ed25519", "rsa"])
def test_an_imported_key_comes_back_as_it_was(public: Any, session: Any, made: Maker) -> None:
    """K1"""
    text = public()
    key = made.key(public=f"{text} someone@somewhere")

    [found] = [one for one in session.keys.list_keys() if one.native == key.native]
    assert text.split() == found.public.split()[:2]
    assert key.name == found.name


def test_a_name_is_given_once(made: Maker, theirs: Maker) -> None:
    """K2"""
    first = made.key()

    with refused(Conflict, code="duplicate", kind="key"):
        made.key(name=first.name)

    assert first.name == theirs.key(name=first.name).name


WRONG = {
    "empty": "",
    "text": "no key",
    "cut": public_key()[:40],
    "base64": "ssh-ed25519 !!!!",
    "other": public_key().replace("ssh-ed25519", "ssh-rsa"),
    "lines": f"{public_key()}\n{public_key()}",
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_no_public_key_is_invalid(name: str, made: Maker) -> None:
    """K3"""
    with refused(Invalid, field="public"):
        made.key(public=WRONG[name])


def test_a_deleted_key_is_gone(session: Any, made: Maker, patience: Patience) -> None:
    """K4"""
    native = made.key().native

    session.keys.delete_key(native)

    patience.gone(lambda: session.keys.list_keys(), native)
