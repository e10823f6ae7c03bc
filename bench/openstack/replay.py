"""What a gateway asked of OpenStack for one request, and the same asked without it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from keystoneauth1.session import Session

TOKENS = "/ec2tokens"


@dataclass(frozen=True)
class Call:
    """A call, with its begin and end in seconds of the monotonic clock."""

    method: str
    url: str
    headers: dict[str, str]
    body: Any
    begun: float
    ended: float

    @property
    def judges(self) -> bool:
        """Whether Keystone was asked who signed."""
        return TOKENS in self.url

    @property
    def name(self) -> str:
        return f"{self.method} {urlsplit(self.url).path}"

    def again(self, user: Session, service: Session) -> None:
        """Make the call: who signed is asked by the gateway's own user, all else by the one who signed."""
        wire = service if self.judges else user
        answer = wire.request(self.url, self.method, headers=dict(self.headers), json=self.body, raise_exc=True)
        answer.json()

    def seconds(self, user: Session, service: Session) -> float:
        begun = time.perf_counter()
        self.again(user, service)
        return time.perf_counter() - begun
