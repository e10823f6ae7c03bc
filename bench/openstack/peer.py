"""OpenStack's own EC2 API of old, ec2-api, in a virtual environment of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from keystoneauth1.session import Session

from bench.openstack.cloud import OUTSIDE, STATE, connection
from bench.servers import free_port, running

RELEASE = "ec2-api==17.0.0"
_AND = (
    "sqlalchemy==1.4.54", "oslo.db==12.3.1", "oslo.context==5.2.0", "alembic<1.14", "setuptools<80", "pymysql",
)  # fmt: skip
"""The releases that it was made for, as far as newer ones do not do; and the driver of its database."""
_DATABASE = "isthmus_bench_ec2api"
_SETTINGS = """[DEFAULT]
api_paste_config = {home}/api-paste.ini
ec2api_listen = 127.0.0.1
ec2api_listen_port = {port}
keystone_ec2_tokens_url = {tokens}/v3/ec2tokens
external_network = {outside}
state_path = {home}

[database]
connection = mysql+pymysql://root@localhost/{database}?unix_socket={socket}

[oslo_concurrency]
lock_path = {home}

[keystone_authtoken]
auth_type = password
auth_url = {auth[auth_url]}
username = {auth[username]}
password = {auth[password]}
project_name = {auth[project_name]}
user_domain_id = default
project_domain_id = default
"""
_PIPELINE = """[pipeline:ec2api]
pipeline = ec2faultwrap logrequest ec2keystoneauth cloudrequest ec2executor
[filter:ec2faultwrap]
paste.filter_factory = ec2api.api:FaultWrapper.factory
[filter:logrequest]
paste.filter_factory = ec2api.api:RequestLogging.factory
[filter:ec2keystoneauth]
paste.filter_factory = ec2api.api:EC2KeystoneAuth.factory
[filter:cloudrequest]
paste.filter_factory = ec2api.api:Requestify.factory
[app:ec2executor]
paste.app_factory = ec2api.api:Executor.factory
"""


class NoPeerError(Exception):
    """Why ec2-api cannot be compared with here."""


@contextmanager
def ec2_api(cache: Path, scratch: Path, service: Session) -> Iterator[str]:
    """Its endpoint. Raises NoPeerError if it cannot be installed, or does not start."""
    programs = _install(cache)
    home = scratch / "ec2-api"
    home.mkdir()
    with _tokens(service) as tokens, _database(programs):
        port = free_port()
        settings = home / "ec2api.conf"
        settings.write_text(
            _SETTINGS.format(
                home=home, port=port, tokens=tokens, outside=OUTSIDE, database=_DATABASE,
                socket=STATE / "mysql.sock", auth=connection("admin").config.config["auth"],
            )
        )  # fmt: skip
        (home / "api-paste.ini").write_text(_PIPELINE)
        try:
            _run(programs / "ec2-api-manage", "--config-file", settings, "db_sync")
            command = [str(programs / "ec2-api"), "--config-file", str(settings)]
            up = running(command, scratch / "ec2-api.log", f"http://127.0.0.1:{port}")
            server = up.__enter__()
        except (subprocess.CalledProcessError, RuntimeError) as error:
            raise NoPeerError(f"ec2-api does not start: {_said(error)}") from None
        try:
            yield server.endpoint
        finally:
            up.__exit__(None, None, None)


def _install(cache: Path) -> Path:
    programs = cache / "ec2-api" / "bin"
    if not (programs / "ec2-api").exists():
        print(f"Installing {RELEASE} into {programs.parent} ...", file=sys.stderr)
        try:
            _run(sys.executable, "-m", "venv", programs.parent)
            _run(programs / "pip", "install", "-q", RELEASE, *_AND)
        except subprocess.CalledProcessError as error:
            raise NoPeerError(f"{RELEASE} cannot be installed: {_said(error)}") from None
    return programs


@contextmanager
def _database(programs: Path) -> Iterator[None]:
    """A database in that of the OpenStack, as ec2-api has it there."""

    def tell(sql: str) -> None:
        connect = f"pymysql.connect(user='root', unix_socket={str(STATE / 'mysql.sock')!r}).cursor()"
        _run(programs / "python", "-c", f"import pymysql; {connect}.execute({sql!r})")

    tell(f"DROP DATABASE IF EXISTS {_DATABASE}")
    tell(f"CREATE DATABASE {_DATABASE} CHARACTER SET utf8")
    try:
        yield
    finally:
        tell(f"DROP DATABASE {_DATABASE}")


@contextmanager
def _tokens(service: Session) -> Iterator[str]:
    """Keystone for ec2-api, which asks it without a token who signed: one is added."""
    keystone = service.auth.auth_url.removesuffix("/v3")
    with httpx.Client(trust_env=False) as wire:

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {"Content-Type": "application/json", "X-Auth-Token": service.get_token() or ""}
                answer = wire.post(f"{keystone}{self.path}", content=body, headers=headers)
                self.send_response(answer.status_code)
                for name in ("Content-Type", "X-Subject-Token"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def _run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)


def _said(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(text.strip().splitlines()[-1:])
