"""SSH key pairs. The store holds the account's public keys; a cloud that has keys of its own is given them at launch.

Private keys are made here, handed out once and kept nowhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from isthmus.context import Context
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.quotas import demand_record
from isthmus.core.registry import NO_TAGS, fan_out
from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Key
from isthmus.providers import KeySpec, Session
from isthmus.store import Record, View

_PEM = serialization.Encoding.PEM
_DER = serialization.Encoding.DER
_MOST = 16 * 1024


@dataclass(frozen=True)
class KeyPair:
    id: str
    name: str
    type: str
    """`rsa` or `ed25519`; empty for any other, of which EC2 has no word."""
    fingerprint: str
    public: str
    created: datetime
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ForLaunch:
    """A key as a server's spec wants it."""

    native: str = ""
    public: str = ""


def find(cx: Context) -> list[KeyPair]:
    """All key pairs: the account's, and those that its clouds had before, by name.

    A name is one key pair: of several clouds that have it, or share it, that of the first is told.
    """
    view = cx.view()
    found = {one.data["name"]: _pair(one, view.tags.get(one.id, NO_TAGS)) for one in view.of_kind(Kind.KEY).values()}
    for cloud, keys in fan_out(cx, _keys):
        for key in keys:
            if key.name not in found:
                found[key.name] = _adopted(cloud, key, view)
    return sorted(found.values(), key=lambda pair: pair.name)


def named(cx: Context, name: str) -> KeyPair:
    for pair in find(cx):
        if pair.name == name:
            return pair
    raise NotFound(Kind.KEY, name, f"The key pair '{name}' does not exist")


def create(cx: Context, name: str, kind: str) -> tuple[KeyPair, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey]:
    """A new key pair and its private key, which is kept nowhere."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
        fingerprint = _fingerprint(private.public_key())
    else:
        private = rsa.generate_private_key(65537, 2048)
        der = private.private_bytes(_DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        fingerprint = _colons(hashlib.sha1(der).hexdigest())  # noqa: S324 - EC2's rule for made keys
    return _keep(cx, name, kind, fingerprint, _openssh(private.public_key())), private


def load(cx: Context, name: str, material: bytes) -> KeyPair:
    """Import a public key: OpenSSH's line, PEM, or base64 of DER. Raises Invalid for anything else."""
    public = _parse(material)
    return _keep(cx, name, _kind(public), _fingerprint(public), _openssh(public))


def delete(cx: Context, pair: KeyPair) -> None:
    """Forget a key pair, here and in the clouds that were given it."""
    for _, (session, keys) in fan_out(cx, lambda session: (session, _keys(session))):
        for key in keys:
            if key.name == pair.name and session.keys:
                session.keys.delete_key(key.native)
    with cx.store.change(cx.account) as change:
        change.untag([pair.id], None)
        change.drop(pair.id)


def for_launch(cx: Context, cloud: str, name: str) -> ForLaunch:
    """The key as this cloud wants it; made known to the cloud if it keeps keys itself."""
    if not name:
        return ForLaunch()
    pair = named(cx, name)
    keys = cx.session(cloud).keys
    if keys is None:
        return ForLaunch("", pair.public)
    for key in keys.list_keys():
        if key.name == name and key.public.split()[:2] == pair.public.split()[:2]:
            return ForLaunch(key.native, pair.public)
    return ForLaunch(keys.import_key(KeySpec(pair.id, name, pair.public)).native, pair.public)


def _keys(session: Session) -> Sequence[Key]:
    return session.keys.list_keys() if session.keys else ()


def _keep(cx: Context, name: str, kind: str, fingerprint: str, public: str) -> KeyPair:
    if any(pair.name == name for pair in find(cx)):
        raise Conflict(Kind.KEY, name, f"The keypair already exists: {name}", "duplicate")
    ref, now = mint(Kind.KEY, cx.seed), cx.now()
    data = {"name": name, "type": kind, "fingerprint": fingerprint, "public": public}
    tags = cx.tags.get("key-pair", NO_TAGS)
    with cx.store.change(cx.account) as change:
        if any(one.data.get("name") == name for one in change.view.of_kind(Kind.KEY).values()):
            raise Conflict(Kind.KEY, name, f"The keypair already exists: {name}", "duplicate")
        demand_record(cx, Kind.KEY, list(change.view.of_kind(Kind.KEY).values()), data)
        change.put(Record(ref, cx.account, Kind.KEY, "", ref, data, now, None))
        if tags:
            change.tag([ref], tags)
    return KeyPair(ref, name, kind, fingerprint, public, now, tags)


def _pair(record: Record, tags: Mapping[str, str]) -> KeyPair:
    said = record.data
    return KeyPair(record.id, said["name"], said["type"], said["fingerprint"], said["public"], record.created, tags)


def _adopted(cloud: str, key: Key, view: View) -> KeyPair:
    known = key.ref or adopt(Kind.KEY, cloud, key.native)
    tags = view.tags.get(known, NO_TAGS)
    return KeyPair(known, key.name, *_described(key.public), key.public, key.created, tags)


def _described(public: str) -> tuple[str, str]:
    """The type and the fingerprint of a key that a cloud had before.

    One of a type that EC2 has not, such as ECDSA, has no type and OpenSSH's own fingerprint. One that the cloud does
    not tell, or that is none of SSH's, has no fingerprint, and is said to be RSA, as most are.
    """
    with suppress(Invalid):
        parsed = _parse(public.encode())
        return _kind(parsed), _fingerprint(parsed)
    with suppress(ValueError):
        return "", _sha256(public)
    return "rsa", ""


def _kind(public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519"


def _fingerprint(public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    """That of a public key as EC2 has it. One of RSA that was made here has another, of its private half."""
    if isinstance(public, rsa.RSAPublicKey):
        der = public.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _colons(hashlib.md5(der).hexdigest())  # noqa: S324 - EC2's rule for imported keys
    return _sha256(_openssh(public))


def _parse(material: bytes) -> rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    text = material.strip()
    if len(text) > _MOST:
        raise Invalid("The key is too long.", "public")
    for read in (_from_openssh, _from_pem, _from_der):
        try:
            public = read(text)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(public, (rsa.RSAPublicKey, ed25519.Ed25519PublicKey)):
            return public
    raise Invalid("Key is not in valid OpenSSH public key format", "public")


def _from_openssh(text: bytes) -> object:
    return serialization.load_ssh_public_key(text)


def _from_pem(text: bytes) -> object:
    return serialization.load_pem_public_key(text)


def _from_der(text: bytes) -> object:
    return serialization.load_der_public_key(base64.b64decode(text, validate=True))


def _openssh(public: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _sha256(line: str) -> str:
    """OpenSSH's own fingerprint of a key in its one-line form. Raises ValueError for what has not that form."""
    _, text, *_ = line.split()
    return base64.b64encode(hashlib.sha256(base64.b64decode(text, validate=True)).digest()).decode()


def _colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
