"""One process of the service: from settings and a listening socket to a graceful end."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from isthmus.config import Settings
from isthmus.gateway import Gateway
from isthmus.serving import observe, welcome
from isthmus.serving.duties import Duties
from isthmus.serving.http import App
from isthmus.serving.observe import Metrics
from isthmus.serving.sockets import BACKLOG, address_of
from isthmus.serving.wire import Bounds, bounded


class Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def run(settings: Settings, bound: socket.socket, ready: Callable[[bool], None], shared: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT; then end what is under way. `ready` is told whether this was the first start.

    Raises ConfigError or StoreError if it cannot begin. Answers the exit code.
    """
    _stop_on_signals()
    observe.set_up_log(settings.log.level)
    welcome.prepare(settings)
    gateway = Gateway.open(settings)
    app = App(gateway, settings, Metrics(shared))
    duties = Duties(gateway, settings)
    try:
        first = welcome.first_start(settings, gateway.world.store)
        welcome.write_config(settings, address_of(bound, settings.listen))
        duties.start()
        gateway.labeller.start()
        Server(_uvicorn(settings, app), lambda: ready(first)).run([bound])
    finally:
        duties.stop()
        gateway.labeller.stop()
        app.close()
        gateway.close()
    return 0


def _uvicorn(settings: Settings, app: App) -> uvicorn.Config:
    http = settings.http
    bounds = Bounds(http.head_bytes, http.headers, http.request_seconds, app.refused)
    return uvicorn.Config(
        app,
        http=bounded(bounds),
        loop="uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        headers=[("server", "Isthmus")],
        timeout_keep_alive=http.idle_seconds,
        timeout_graceful_shutdown=http.stop_seconds,
        backlog=BACKLOG,
    )


def _stop_on_signals() -> None:
    """End by SystemExit until uvicorn takes the signals over, and when it gives them back."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def watch(lifeline: int) -> None:
    """End this process gracefully when the other end of the lifeline closes: its supervisor is gone."""

    def wait() -> None:
        while os.read(lifeline, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def fail(error: Exception) -> NoReturn:
    """Say why the service cannot run, in one sentence, and exit."""
    sys.stderr.write(f"isthmus: {error}\n")
    sys.exit(1)
