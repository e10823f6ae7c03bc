"""One Isthmus in one process, without a socket: the AWS front over a memory cloud, and real botocore clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from codes import KNOWN

from isthmus.aws.front import Front
from isthmus.aws.request import Request
from isthmus.context import SERVICES, Limits, Place, World
from isthmus.core.reconcile import Reconciler
from isthmus.flavors import BUILT_IN
from isthmus.providers.memory import Memory
from isthmus.quotas import QUOTAS
from isthmus.store import Store

ENDPOINT = "http://127.0.0.1:8788"
ZONES = ("us-east-1a", "us-east-1b")
NO_QUOTA: Mapping[str, int] = MappingProxyType({})
NO_RANGES: Mapping[str, tuple[str, ...]] = MappingProxyType(dict.fromkeys(SERVICES, ()))


class Clock:
    """Real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._stopped: datetime | None = None

    def __call__(self) -> datetime:
        return self._stopped or datetime.now(UTC) + self.ahead

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """For a while no time passes."""
        self._stopped = self()
        try:
            yield
        finally:
            self._stopped = None

    def pass_by(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class House:
    """One Isthmus over a memory cloud."""

    def __init__(
        self,
        url: str,
        settle: float = 5.0,
        quota: Mapping[str, int] = NO_QUOTA,
        services: Mapping[str, tuple[str, ...]] = NO_RANGES,
        **limits: Any,
    ) -> None:
        self.clock = Clock()
        self.store = Store.open(url, b"k" * 32)
        flavors, pause = tuple(BUILT_IN.values()), timedelta(seconds=settle)
        self.cloud: Any = Memory("memory", ZONES, flavors, clock=self.clock, settle=pause, quota=quota)
        self.services = services
        self.world = self.new_world(**limits)
        self.front = Front(self.world)
        self.account = self.new_account("first")

    def new_world(self, **limits: Any) -> World:
        return World(
            region="us-east-1",
            places={zone: Place(zone, "memory", zone) for zone in ZONES},
            clouds={"memory": self.cloud},
            store=self.store,
            clock=self.clock,
            limits=Limits(**_sorted(limits)),
            services=self.services,
        )

    def new_account(self, name: str) -> tuple[str, str, str]:
        account = self.store.create_account(name)
        credential = self.store.create_credential(account.id)
        return account.id, credential.access_key, credential.secret

    def settle(self, seconds: float = 60) -> None:
        self.clock.pass_by(seconds)

    def mend(self, grace: timedelta = timedelta(0)) -> None:
        Reconciler(self.world).once(self.clock() - grace)

    def client(self, service: str = "ec2", account: tuple[str, str, str] | None = None, **config: Any) -> Any:
        settings = Config(retries={"total_max_attempts": 1}, parameter_validation=False, **config)
        client = self._session(account or self.account).client(service, endpoint_url=ENDPOINT, config=settings)
        client.meta.events.register("before-send", self.send)
        return client

    def resource(self) -> Any:
        """boto3's resources of EC2."""
        resource = self._session(self.account).resource("ec2", endpoint_url=ENDPOINT)
        resource.meta.client.meta.events.register("before-send", self.send)
        return resource

    def _session(self, account: tuple[str, str, str]) -> boto3.Session:
        _, access_key, secret = account
        return boto3.Session(access_key, secret, region_name="us-east-1")

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Hand a signed request to the front, and its answer to botocore."""
        target = request.url.removeprefix(ENDPOINT)
        path, _, query = target.partition("?")
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        headers.setdefault("host", ENDPOINT.removeprefix("http://"))
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        answer = self.front.handle(Request(request.method, path or "/", query, headers, body))
        assert not answer.code or answer.code in KNOWN, f"{answer.code} is no error code of EC2's"
        return AWSResponse(request.url, answer.status, {"x-amzn-requestid": answer.request_id}, Raw(answer.body))


def _sorted(limits: Mapping[str, Any]) -> Mapping[str, Any]:
    """Limits with the quotas among them as such."""
    quotas = {name: most for name, most in limits.items() if name in QUOTAS}
    return {"quotas": quotas, **{name: value for name, value in limits.items() if name not in QUOTAS}}


class Raw:
    """What botocore reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
