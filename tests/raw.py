"""Requests written by hand and signed by botocore: what no well-behaved client would send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

from botocore.auth import SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from isthmus.aws.front import Front, Response
from isthmus.aws.request import Request

HOST = "127.0.0.1:8788"
FORM = "application/x-www-form-urlencoded"
Params = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What the front said."""

    response: Response

    @property
    def status(self) -> int:
        return self.response.status

    @property
    def text(self) -> str:
        return self.response.body.decode()

    @cached_property
    def root(self) -> ElementTree.Element:
        """The document without its namespace."""
        root = ElementTree.fromstring(self.response.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    @property
    def namespace(self) -> str:
        return ElementTree.fromstring(self.response.body).tag.rpartition("}")[0].lstrip("{")

    @property
    def code(self) -> str:
        """The error code; empty for a success."""
        return self.root.findtext(".//Error/Code", "")

    @property
    def message(self) -> str:
        return self.root.findtext(".//Error/Message", "")

    @property
    def request_id(self) -> str:
        names = ("requestId", "RequestID", "RequestId", "ResponseMetadata/RequestId")
        return next((found for name in names if (found := self.root.findtext(name))), "")

    def all(self, tag: str) -> list[str]:
        return [element.text or "" for element in self.root.iter(tag)]


@dataclass(frozen=True)
class Sender:
    """Signs for an account and sends to a front."""

    front: Front
    account: tuple[str, str, str]
    service: str = "ec2"
    region: str = "us-east-1"

    def __call__(self, action: str, params: Params = (), version: str = "2016-11-15", **kept: Any) -> Answer:
        """A POST signed in its header."""
        pairs = list(params.items()) if isinstance(params, Mapping) else list(params)
        return self.body(urlencode([("Action", action), ("Version", version), *pairs]).encode(), **kept)

    def body(self, body: bytes, path: str = "/", **headers: str) -> Answer:
        said = {"Content-Type": FORM, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.send(self.signed(AWSRequest("POST", f"http://{HOST}{path}", said, body)))

    def get(self, action: str, params: Params = (), version: str = "2016-11-15") -> Answer:
        """A GET signed in its header."""
        pairs = {"Action": action, "Version": version, **dict(params)}
        query = urlencode(pairs, quote_via=quote)
        return self.send(self.signed(AWSRequest("GET", f"http://{HOST}/?{query}", {})))

    def v2(self, method: str, action: str, params: Params = (), version: str = "2016-11-15") -> Answer:
        """Signed with SigV2 among its parameters."""
        pairs = {"Action": action, "Version": version, **dict(params)}
        where = {"params": pairs} if method == "GET" else {"data": pairs, "headers": {"Content-Type": FORM}}
        request = AWSRequest(method, f"http://{HOST}/", **where)
        SigV2Auth(self.credentials).add_auth(request)
        return self.send(received(request))

    @property
    def credentials(self) -> Credentials:
        return Credentials(self.account[1], self.account[2])

    def signed(self, request: AWSRequest) -> Request:
        SigV4Auth(self.credentials, self.service, self.region).add_auth(request)
        return received(request)

    def send(self, request: Request) -> Answer:
        return Answer(self.front.handle(request))


def received(signed: AWSRequest) -> Request:
    """A request of botocore as it arrives at a server."""
    sent = signed.prepare()
    url = urlsplit(sent.url)
    headers = {
        name.lower(): value if isinstance(value, str) else value.decode() for name, value in sent.headers.items()
    }
    body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
    return Request(sent.method, url.path, url.query, {"host": url.netloc, **headers}, body)
