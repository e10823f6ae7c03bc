"""The instance identity document, and the signatures by which others can tell that this service issued it."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from isthmus.imds.kept import keep
from isthmus.imds.tree import Guest

CERTIFICATE = "imds-identity.crt"
"""The file in the state directory to verify with; safe to publish."""

_BOTH = "imds-identity.pem"
_YEARS = 30


class Identity:
    """Signs with one RSA key; `certificate` is its self-signed X.509 certificate in PEM."""

    def __init__(self, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate
        self._signed = lru_cache(maxsize=4096)(self._sign)

    @classmethod
    def kept_in(cls, directory: Path) -> Identity:
        """The identity of a state directory; made there the first time.

        OSError when it cannot be written, ValueError when what is there is not an RSA key and its certificate.
        """
        path = directory / _BOTH
        identity = _load(keep(path, _make), path)
        keep(directory / CERTIFICATE, lambda: identity.certificate, 0o644)
        return identity

    @property
    def certificate(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def leaves(self, guest: Guest) -> Mapping[str, bytes]:
        """What is served below `dynamic/instance-identity/`, by name. A new document costs two RSA signatures."""
        return self._signed(document(guest))

    def _sign(self, content: bytes) -> Mapping[str, bytes]:
        envelope = _lines(self._envelope(content))
        signature = self._key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        return {"document": content, "signature": _lines(signature), "pkcs7": envelope, "rsa2048": envelope}

    def _envelope(self, content: bytes) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self._certificate, self._key, hashes.SHA256())
        options = [pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities]
        return builder.sign(serialization.Encoding.DER, options)


def _load(content: bytes, path: Path) -> Identity:
    try:
        key = serialization.load_pem_private_key(content, None)
        certificate = x509.load_pem_x509_certificate(content)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path}: does not hold a private key and its certificate in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError(f"{path}: the key is not RSA, or the certificate is not the key's")
    return Identity(key, certificate)


def document(guest: Guest) -> bytes:
    """The identity document, byte for byte in EC2's layout."""
    facts = {
        "accountId": guest.account,
        "architecture": guest.architecture,
        "availabilityZone": guest.zone,
        "billingProducts": None,
        "devpayProductCodes": None,
        "marketplaceProductCodes": None,
        "imageId": guest.image_id,
        "instanceId": guest.instance_id,
        "instanceType": guest.instance_type,
        "kernelId": guest.kernel_id or None,
        "pendingTime": guest.pending_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "privateIp": guest.local_ipv4,
        "ramdiskId": guest.ramdisk_id or None,
        "region": guest.region,
        "version": "2017-09-30",
    }
    return json.dumps(facts, indent=2, separators=(",", " : ")).encode()


def _make() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem + _self_signed(key).public_bytes(serialization.Encoding.PEM)


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Isthmus instance identity")])
    start = datetime.now(UTC) - timedelta(days=1)  # a guest's clock may be behind
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _lines(content: bytes) -> bytes:
    """Base64 in lines of 64 characters: what openssl takes between the lines of a PEM header and footer."""
    return "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 64)).encode()
