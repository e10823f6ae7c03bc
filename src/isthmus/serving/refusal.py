"""Answers that need no front: what is refused before a request can be read, or because Isthmus itself failed."""

from __future__ import annotations

import uuid
from functools import cached_property
from xml.sax.saxutils import escape


class Refusal(Exception):
    """A refusal in EC2's shape. `message` is a constant of ours: nothing of the request is told back."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message

    @cached_property
    def request_id(self) -> str:
        return str(uuid.uuid4())

    @property
    def body(self) -> bytes:
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error><Code>{escape(self.code)}</Code><Message>{escape(self.message)}</Message>"
            f"</Error></Errors><RequestID>{self.request_id}</RequestID></Response>"
        ).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", b"text/xml;charset=UTF-8"),
            (b"x-amzn-requestid", self.request_id.encode()),
            (b"content-length", b"%d" % len(self.body)),
        ]
