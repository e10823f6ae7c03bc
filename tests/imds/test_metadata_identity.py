from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from metadata_guest import GUEST

from isthmus.imds.identity import Identity, document

LAYOUT = b"""{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "availabilityZone" : "us-east-1a",
  "billingProducts" : null,
  "devpayProductCodes" : null,
  "marketplaceProductCodes" : null,
  "imageId" : "ami-0123456789abcdef0",
  "instanceId" : "i-0123456789abcdef0",
  "instanceType" : "t3.micro",
  "kernelId" : null,
  "pendingTime" : "2026-11-20T12:30:05Z",
  "privateIp" : "172.31.0.5",
  "ramdiskId" : null,
  "region" : "us-east-1",
  "version" : "2017-09-30"
}"""

MAKE = """
import sys
from pathlib import Path
from isthmus.imds.identity import Identity
sys.stdin.readline()
sys.stdout.buffer.write(Identity.kept_in(Path(sys.argv[1])).certificate)
"""


def public_key(identity: Identity) -> rsa.RSAPublicKey:
    key = x509.load_pem_x509_certificate(identity.certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def test_the_document_has_ec2s_layout() -> None:
    assert document(GUEST) == LAYOUT


def test_a_chosen_kernel_is_in_the_document() -> None:
    assert json.loads(document(replace(GUEST, kernel_id="aki-1")))["kernelId"] == "aki-1"


def test_the_signature_is_of_the_document(state: Path) -> None:
    identity = Identity.kept_in(state)
    leaves = identity.leaves(GUEST)
    signature = base64.b64decode(leaves["signature"])

    public_key(identity).verify(signature, leaves["document"], padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignature):
        public_key(identity).verify(signature, leaves["document"] + b" ", padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.skipif(not shutil.which("openssl"), reason="NOT TESTED: the openssl program is missing")
@pytest.mark.parametrize("leaf", ["pkcs7", "rsa2048"])
def test_openssl_verifies_the_envelope_and_finds_the_document_in_it(state: Path, tmp_path: Path, leaf: str) -> None:
    leaves = Identity.kept_in(state).leaves(GUEST)
    envelope = tmp_path / leaf
    envelope.write_bytes(b"-----BEGIN PKCS7-----\n" + leaves[leaf] + b"\n-----END PKCS7-----\n")
    verify = ["openssl", "smime", "-verify", "-inform", "PEM", "-in", str(envelope)]
    certificate = str(state / "imds-identity.crt")

    for trust in (["-certfile", certificate, "-noverify"], ["-CAfile", certificate]):
        done = subprocess.run([*verify, *trust], capture_output=True, check=False)
        assert (0, leaves["document"]) == (done.returncode, done.stdout), done.stderr


@pytest.mark.skipif(not shutil.which("openssl"), reason="NOT TESTED: the openssl program is missing")
def test_openssl_refuses_an_envelope_of_another_service(state: Path, tmp_path: Path) -> None:
    envelope = tmp_path / "envelope"
    other = Identity.kept_in(tmp_path).leaves(GUEST)["pkcs7"]
    envelope.write_bytes(b"-----BEGIN PKCS7-----\n" + other + b"\n-----END PKCS7-----\n")
    verify = ["openssl", "smime", "-verify", "-inform", "PEM", "-in", str(envelope)]
    trust = ["-CAfile", str(state / "imds-identity.crt")]

    assert subprocess.run([*verify, *trust], capture_output=True, check=False).returncode


def test_the_identity_stays_and_its_key_is_private(tmp_path: Path) -> None:
    first = Identity.kept_in(tmp_path)

    assert first.certificate == Identity.kept_in(tmp_path).certificate
    assert first.certificate == (tmp_path / "imds-identity.crt").read_bytes()
    assert b"PRIVATE" not in first.certificate
    assert {
        path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir() if b"PRIVATE" in path.read_bytes()
    } == {"imds-identity.pem": 0o600}


def test_processes_that_start_together_share_one_identity(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path)]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for process in started:
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.flush()
    certificates = {process.communicate()[0] for process in started}

    assert certificates == {(tmp_path / "imds-identity.crt").read_bytes()}
    assert {"imds-identity.crt", "imds-identity.pem"} == {path.name for path in tmp_path.iterdir()}


def test_a_file_that_is_no_key_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "imds-identity.pem").write_bytes(b"scribble")

    with pytest.raises(ValueError, match=r"imds-identity\.pem"):
        Identity.kept_in(tmp_path)
