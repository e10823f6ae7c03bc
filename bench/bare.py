"""The bare server: uvicorn with our event loop and parser, and an application that reads a request and sends a file.

python -m bench.bare DIRECTORY: /NAME answers the bytes of DIRECTORY/NAME. Says the port it listens on.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

REQUEST_ID = b"00000000-0000-4000-a000-000000000000"


class Bare:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._bodies: dict[str, bytes] = {}

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        while (await receive()).get("more_body"):
            pass
        body = self._body(scope["path"])
        headers = [
            (b"content-type", b"text/xml;charset=UTF-8"),
            (b"x-amzn-requestid", REQUEST_ID),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _body(self, path: str) -> bytes:
        if path not in self._bodies:
            self._bodies[path] = (self._directory / path.strip("/")).read_bytes()
        return self._bodies[path]


def main(directory: str) -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    bound.listen(2048)
    print(f"bare listens on http://127.0.0.1:{bound.getsockname()[1]}", flush=True)
    settings = uvicorn.Config(
        Bare(Path(directory)),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        headers=[("server", "bare")],
    )
    uvicorn.Server(settings).run([bound])


if __name__ == "__main__":
    main(sys.argv[1])
