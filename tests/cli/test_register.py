"""`isthmus credentials register`, over real HTTP, with a service in front of an emulated CloudStack."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV2Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account
from service import Service, isthmus, refusal, serving


@pytest.fixture
def file(emulator: Emulator, tmp_path: Path) -> Path:
    made = tmp_path / "isthmus.toml"
    made.write_text(
        f'[clouds.stack]\nkind = "cloudstack"\nurl = "{emulator.url}"\nzones = {{ us-east-1a = "zone-1" }}\n'
        'security_groups = true\nregistration = "encrypted"\n[log]\nlevel = "debug"\n'
    )
    return made


@pytest.fixture
def service(file: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(tmp_path / "state", "--config", str(file)) as running:
        yield running


def url(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}"


def registering(endpoint: str, by: Account, *words: str, **more: str) -> Any:
    """With the secret on standard input. Nowhere does it show."""
    given = ("--endpoint", endpoint, "--access-key", by.api, "--secret", "-")
    done = isthmus("credentials", "register", *given, *words, text=by.secret + "\n", **more)
    assert by.secret not in done.stdout + done.stderr
    return done


def may(service: Service, by: Account) -> bool:
    """Whether what is signed with a pair is answered."""
    said = Config(retries={"total_max_attempts": 1})
    session = boto3.Session(by.api, by.secret, region_name="us-east-1")
    try:
        return bool(session.client("ec2", endpoint_url=url(service), config=said).describe_images()["Images"])
    except ClientError:
        return False


def test_a_pair_is_registered_kept_over_a_restart_and_removed(
    service: Service, file: Path, demo: Account, tmp_path: Path
) -> None:
    assert not may(service, demo)

    done = registering(url(service), demo)

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith(f"The access key {demo.api} belongs to the account ")
    assert may(service, demo)
    service.stop()
    state = tmp_path / "state"
    with serving(state, "--config", str(file)) as again:
        assert may(again, demo)
        gone = registering(url(again), demo, "--remove")
        assert (0, f"The access key {demo.api} is forgotten.\n") == (gone.returncode, gone.stdout)
        assert not may(again, demo)
        logs = [*service.log, *again.log]
    assert any("RegisterSecretKey" in line for line in logs)
    assert any("RemoveSecretKey" in line for line in logs)
    for text in ("".join([*logs, *service.said]).encode(), *(one.read_bytes() for one in state.glob("isthmus.db*"))):
        assert demo.secret.encode() not in text


def test_ec2stacks_own_form_is_taken_once_it_is_signed(service: Service, demo: Account) -> None:
    """As ec2stack-register sent it, and signed as its clients signed all else."""
    form = {"Action": "RegisterSecretKey", "AWSAccessKeyId": demo.api, "AWSSecretKey": demo.secret}
    unsigned = httpx.post(url(service), data=form)
    request = AWSRequest("POST", f"{url(service)}/", data=form)
    SigV2Auth(Credentials(demo.api, demo.secret)).add_auth(request)
    signed = httpx.post(url(service), data=request.data)

    assert (403, True) == (unsigned.status_code, "has to be signed" in unsigned.text)
    assert (200, True) == (signed.status_code, "<Message>Successfully Registered!</Message>" in signed.text)
    assert may(service, demo)


def test_the_secret_is_read_from_the_environment_too(service: Service, demo: Account) -> None:
    given = {"AWS_ENDPOINT_URL": url(service), "AWS_ACCESS_KEY_ID": demo.api, "AWS_SECRET_ACCESS_KEY": demo.secret}

    assert 0 == isthmus("credentials", "register", **given).returncode
    assert may(service, demo)


def test_what_is_not_taken_is_explained(service: Service, emulator: Emulator, demo: Account) -> None:
    assert "does not take this pair" in refusal(registering(url(service), replace(demo, secret="another-secret")))
    assert "does not take this pair" in refusal(registering(url(service), demo, "--remove"))
    assert "does not take this pair" in refusal(registering(url(service), replace(demo, api="api-of-nobody")))
    assert "no Isthmus" in refusal(registering(emulator.url, demo))
    assert "cannot be asked" in refusal(registering("http://127.0.0.1:9", demo))
    nothing = ("--cacert", "/dev/null/none")
    assert "no certificates" in refusal(registering("https://127.0.0.1:9", demo, *nothing))


def test_where_registration_is_off_it_is_told_who_is_to_be_asked(demo: Account, file: Path, tmp_path: Path) -> None:
    file.write_text(file.read_text().replace('registration = "encrypted"\n', ""))
    with serving(tmp_path / "state", "--config", str(file)) as service:
        assert "its operator imports them" in refusal(registering(url(service), demo))


@pytest.mark.parametrize("endpoint", ["http://192.0.2.7:8788", "http://ec2.example.org"])
def test_a_secret_is_not_sent_unencrypted_to_elsewhere(demo: Account, endpoint: str) -> None:
    assert "--plain-http" in refusal(registering(endpoint, demo))


@pytest.mark.parametrize("endpoint", ["ec2.example.org", "ftp://x/", "https://", "https://u:p@x/", "https://x/?a=b"])
def test_what_is_no_endpoint_is_refused(demo: Account, endpoint: str) -> None:
    assert "--endpoint is a URL" in refusal(registering(endpoint, demo))


@pytest.mark.parametrize(("words", "missing"), [((), "endpoint"), (("--endpoint", "https://x"), "API key")])
def test_what_is_missing_is_named_where_nobody_can_be_asked(words: tuple[str, ...], missing: str) -> None:
    assert f"The {missing} is missing" in refusal(isthmus("credentials", "register", *words))


def test_a_missing_secret_is_named(demo: Account) -> None:
    done = isthmus("credentials", "register", "--endpoint", "https://x", "--access-key", demo.api)

    assert "The secret key is missing" in refusal(done)


@pytest.mark.parametrize(("scheme", "taken"), [("https", True), ("http", False)])
def test_behind_a_proxy_that_ends_tls_it_counts_how_the_client_came(
    service: Service, demo: Account, tmp_path: Path, scheme: str, taken: bool
) -> None:
    with ending_tls(service, tmp_path, scheme) as (endpoint, authority):
        unknown = registering(endpoint, demo)
        done = registering(endpoint, demo, "--cacert", str(authority))

    assert "certificate" in refusal(unknown).lower()
    assert taken is (0 == done.returncode), done.stderr
    assert taken is may(service, demo)
    if not taken:
        assert "not encrypted" in refusal(done)


@contextmanager
def ending_tls(service: Service, place: Path, scheme: str) -> Iterator[tuple[str, Path]]:
    """A proxy with a certificate of its own, which says how clients come; and that certificate."""

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            onward = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
            onward.request("POST", self.path, body, {**dict(self.headers.items()), "X-Forwarded-Proto": scheme})
            answer = onward.getresponse()
            said = answer.read()
            onward.close()
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    authority, key = certificate(place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_address[1]}", authority
        finally:
            server.shutdown()
            thread.join(10)


def certificate(place: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that it has signed itself, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    file, key = place / "proxy.pem", place / "proxy.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return file, key
