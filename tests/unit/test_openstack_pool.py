"""Connections to an OpenStack."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from isthmus.providers.openstack.cloud import pool
from isthmus.together import AT_ONCE


class Service(ThreadingHTTPServer):
    """Answers when as many requests have come as are made at once; counts connections."""

    request_queue_size = AT_ONCE
    connections = 0
    together = threading.Barrier(AT_ONCE, timeout=30)

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        self.server.together.wait()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_as_many_connections_are_kept_as_calls_are_made_at_once(service: Service) -> None:
    url = f"http://127.0.0.1:{service.server_port}/"

    with pool() as kept, ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in range(2):
            list(threads.map(lambda _: kept.get(url, timeout=30, proxies={"http": ""}), range(AT_ONCE)))

        assert service.connections == AT_ONCE
