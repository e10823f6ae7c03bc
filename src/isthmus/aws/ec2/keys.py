"""Key pairs."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import keys
from isthmus.core.ids import Kind
from isthmus.core.keys import KeyPair
from isthmus.errors import NotFound

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519
    from mypy_boto3_ec2.type_defs import (
        CreateKeyPairRequestTypeDef,
        DeleteKeyPairRequestTypeDef,
        DescribeKeyPairsRequestTypeDef,
        ImportKeyPairRequestTypeDef,
        KeyPairInfoTypeDef,
    )

_NONE = serialization.NoEncryption()
_NAME = 255


@ec2.listing("DescribeKeyPairs", key="KeyName")
def describe_key_pairs(cx: Context, req: DescribeKeyPairsRequestTypeDef) -> Iterator[KeyPairInfoTypeDef]:
    pairs = keys.find(cx)
    _demand(req.get("KeyNames", ()), {pair.name for pair in pairs})
    _demand(req.get("KeyPairIds", ()), {pair.id for pair in pairs})
    wanted = {*req.get("KeyNames", ()), *req.get("KeyPairIds", ())}
    for pair in pairs:
        if not wanted or pair.name in wanted or pair.id in wanted:
            yield render(pair, public=req.get("IncludePublicKey", False))


@ec2.action("CreateKeyPair", makes=["key-pair"])
def create_key_pair(cx: Context, req: CreateKeyPairRequestTypeDef) -> Mapping[str, Any]:
    kind, form = req.get("KeyType", "rsa"), req.get("KeyFormat", "pem")
    if kind not in ("rsa", "ed25519"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{kind}' for KeyType.")
    if form not in ("pem", "ppk"):
        raise AwsError("InvalidParameterValue", f"Invalid value '{form}' for KeyFormat.")
    pair, private = keys.create(cx, _name(req["KeyName"]), kind)
    material = _ppk(private, pair) if form == "ppk" else _pem(private)
    return {**_made(pair), "KeyMaterial": material}


@ec2.action("ImportKeyPair", makes=["key-pair"])
def import_key_pair(cx: Context, req: ImportKeyPairRequestTypeDef) -> Mapping[str, Any]:
    return _made(keys.load(cx, _name(req["KeyName"]), _material(req["PublicKeyMaterial"])))


@ec2.action("DeleteKeyPair")
def delete_key_pair(cx: Context, req: DeleteKeyPairRequestTypeDef) -> Mapping[str, Any]:
    name, known = req.get("KeyName", ""), req.get("KeyPairId", "")
    if not name and not known:
        raise AwsError("MissingParameter", "The request must contain the parameter KeyName or KeyPairId")
    if name and known:
        raise AwsError("InvalidParameterCombination", "The parameters KeyName and KeyPairId cannot be used together.")
    for pair in keys.find(cx):
        if pair.id == known or (name and pair.name == name):
            keys.delete(cx, pair)
            return {"Return": True, "KeyPairId": pair.id}
    return {"Return": True}


def render(pair: KeyPair, *, public: bool = False) -> KeyPairInfoTypeDef:
    kind: Any = pair.type
    said: KeyPairInfoTypeDef = {
        "KeyPairId": pair.id,
        "KeyName": pair.name,
        **({"KeyType": kind} if kind else {}),
        **({"KeyFingerprint": pair.fingerprint} if pair.fingerprint else {}),
        "CreateTime": pair.created,
        "Tags": tag_set(pair.tags),  # type: ignore[typeddict-item]
    }
    if public and pair.public:
        said["PublicKey"] = f"{pair.public} {pair.name}"
    return said


def _made(pair: KeyPair) -> dict[str, Any]:
    tags = tag_set(pair.tags)
    said = {"KeyPairId": pair.id, "KeyName": pair.name, "KeyFingerprint": pair.fingerprint}
    return {**said, "Tags": tags} if tags else said


def _name(name: str) -> str:
    if len(name) > _NAME or not name.isascii() or name != name.strip():
        raise AwsError(
            "InvalidParameterValue", f"A key name has at most {_NAME} ASCII characters and no spaces around it."
        )
    return name


def _material(given: bytes | Any) -> bytes:
    """The key itself: some clients send base64 of base64."""
    try:
        inner = base64.b64decode(given, validate=True)
    except binascii.Error:
        return bytes(given)
    return inner if inner.startswith((b"ssh-", b"-----")) else bytes(given)


def _demand(wanted: Any, there: set[str]) -> None:
    for one in wanted:
        if one not in there:
            raise NotFound(Kind.KEY, one)


def _pem(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> str:
    """RSA as PKCS#1, ed25519 as OpenSSH: what AWS hands out."""
    openssh, traditional = serialization.PrivateFormat.OpenSSH, serialization.PrivateFormat.TraditionalOpenSSL
    form = traditional if isinstance(private, rsa.RSAPrivateKey) else openssh
    return private.private_bytes(serialization.Encoding.PEM, form, _NONE).decode().strip()


def _ppk(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, pair: KeyPair) -> str:
    """PuTTY's format, version 2, without a passphrase. Source: PuTTY's manual, appendix C."""
    import hashlib
    import hmac

    algorithm, blob = pair.public.split()[:2]
    public = base64.b64decode(blob)
    secret = _putty_private(private)
    said = (algorithm.encode(), b"none", pair.name.encode(), public, secret)
    mac = hmac.digest(
        hashlib.sha1(b"putty-private-key-file-mac-key").digest(),  # noqa: S324 - the format's own
        b"".join(_string(part) for part in said),
        hashlib.sha1,
    )
    lines = [f"PuTTY-User-Key-File-2: {algorithm}", "Encryption: none", f"Comment: {pair.name}"]
    for title, part in (("Public", public), ("Private", secret)):
        text = base64.b64encode(part).decode()
        wrapped = [text[at : at + 64] for at in range(0, len(text), 64)]
        lines += [f"{title}-Lines: {len(wrapped)}", *wrapped]
    return "\n".join([*lines, f"Private-MAC: {mac.hex()}"])


def _putty_private(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    if isinstance(private, rsa.RSAPrivateKey):
        numbers = private.private_numbers()
        return b"".join(map(_mpint, (numbers.d, numbers.p, numbers.q, numbers.iqmp)))
    raw = private.private_bytes_raw()
    return _string(raw)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: int) -> bytes:
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))
