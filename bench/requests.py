"""Requests as bytes: signed before the clock runs, so that only the servers' work is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

VERSION = "2016-11-15"
_FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True)
class Caller:
    """Who signs, and for which region."""

    endpoint: str
    access_key: str
    secret: str
    region: str = "us-east-1"

    def request(self, action: str, **parameters: object) -> bytes:
        """A whole HTTP request, signed as SDKs do, different each time. In names, two underscores stand for a dot."""
        said = {name.replace("__", "."): str(value) for name, value in parameters.items()}
        body = urlencode({"Action": action, "Version": VERSION, **said}).encode()
        headers = {"Content-Type": _FORM, "amz-sdk-invocation-id": str(uuid4()), "amz-sdk-request": "attempt=1"}
        signed = AWSRequest("POST", f"{self.endpoint}/", headers=headers, data=body)
        SigV4Auth(Credentials(self.access_key, self.secret), "ec2", self.region).add_auth(signed)
        return raw(urlsplit(self.endpoint).netloc, "/", dict(signed.headers.items()), body)


def raw(host: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
