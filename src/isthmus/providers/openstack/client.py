"""OpenStack's wire: one tenant's signed-in session, paging, and the one place where its errors become Faults.

Sources: the API references of Nova, Neutron, Glance and Cinder; docs.openstack.org/keystoneauth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, NoReturn, TypeVar
from urllib.parse import quote, urlencode

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from isthmus.errors import (
    Conflict,
    Denied,
    Invalid,
    NoCapacity,
    NotFound,
    NotTaken,
    QuotaExceeded,
    Throttled,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from isthmus.memo import Memo
from isthmus.retry import twice
from isthmus.together import for_each

Item = Mapping[str, Any]
T = TypeVar("T")

CONNECT_SECONDS, READ_SECONDS = 5, 50
"""How long a service may take to accept a connection, and to say anything: EC2's clients wait for 60 seconds."""
PAGE = 1000
"""Items asked for at a time; a service may answer fewer."""
FEW = 4
"""Up to so many things are asked for one by one; for more, a whole list is faster."""
_NATIVE = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,63}")
_QUOTA = re.compile(r"quota|limit(s)? exceeded|overlimit|maximum number", re.IGNORECASE)
_POLICY = re.compile(r"\bpolicy\b|not authorized to complete", re.IGNORECASE)
"""What a service says to whose role lacks a right, whatever is asked of which thing."""
_IN_USE = re.compile(
    r"in use|in-use|required by|has one or more ports|is attached|still attached|associated with", re.IGNORECASE
)
_TAKEN = re.compile(r"IP address ([0-9.]+) (?:is in use|already allocated)")
_FULL = re.compile(r"no more (ip|free) address|no valid host|not enough free", re.IGNORECASE)
MICROVERSIONS = {"compute": "2.53", "block-storage": "3.27"}
"""The least that is asked of each service: those of Pike, by which servers are made with tags."""

_MOVING = {("compute", "POST", "/servers"), ("network", "POST", "/v2.0/ports")}
"""What makes servers and their ports, and changes nothing that they are made of."""
_STANDING = re.compile(r"/v2\.0/(networks|subnets|routers|security-groups)\b|/flavors/detail|/v2/images|/os-keypairs")
"""Reads of what servers are made of."""


def _stands(asked: tuple[str, str, str]) -> bool:
    return bool(_STANDING.match(asked[1]))


class Silent(Unavailable):
    """A service did not answer at all."""


class Client:
    """Calls to the services of one cloud with one tenant's token. Raises nothing but Faults."""

    def __init__(self, project: str, adapters: Callable[[str], Adapter], memo: Memo | None = None) -> None:
        self.project = project
        self._adapters = adapters
        self._memo = memo
        self._silent: dict[str, Unavailable] = {}
        """Services that did not answer a read of this request: they are not waited for again."""

    def once(self) -> Client:
        """The same for one request: what was read is not asked for again until something is changed."""
        return Client(self.project, self._adapters, Memo())

    def again(self) -> None:
        """Forget what was read: for those who wait for something to happen."""
        if self._memo:
            self._memo.clear()
            self._silent.clear()

    def get(
        self, service: str, path: str, kind: str = "", native: str = "", *, version: str = "", **query: object
    ) -> Any:
        """`version` is a later microversion than that of all calls. Raises Unsupported where there is none."""
        return self._send("GET", service, path, kind, native, query=query, version=version)

    def post(
        self, service: str, path: str, body: object, kind: str = "", native: str = "", *, version: str = ""
    ) -> Any:
        return self._send("POST", service, path, kind, native, body, version=version)

    def put(self, service: str, path: str, body: object, kind: str = "", native: str = "", *, version: str = "") -> Any:
        return self._send("PUT", service, path, kind, native, body, version=version)

    def patch(self, service: str, path: str, body: object, kind: str = "", native: str = "", type: str = "") -> Any:
        return self._send("PATCH", service, path, kind, native, body, type=type)

    def delete(self, service: str, path: str, kind: str = "", native: str = "", **query: object) -> None:
        """What is gone already is what was asked for."""
        try:
            self._send("DELETE", service, path, kind, native, query=query)
        except NotFound:
            return

    def every(self, service: str, path: str, key: str, **query: object) -> list[Item]:
        """All pages of a list."""
        found: list[Item] = []
        url = _url(path, {"limit": PAGE, **query})
        while url:
            page = self._send("GET", service, url)
            found += page[key]
            url = _next(page, key, path)
        return found

    def upload(self, service: str, path: str, data: bytes | BinaryIO, kind: str, native: str) -> None:
        self._send("PUT", service, path, kind, native, data=data, type="application/octet-stream")

    def _send(self, method: str, service: str, path: str, *about: Any, query: Item | None = None, **more: Any) -> Any:
        url = _url(path, query or {})

        def ask() -> Any:
            return self._ask(method, service, url, *about, **more)

        if self._memo is None:
            return ask()
        if method == "GET":
            return self._memo.get((service, url, more.get("version")), partial(self._heard, service, ask))
        try:
            return ask()
        finally:
            self._memo.clear(_stands if (service, method, path) in _MOVING else None)

    def _heard(self, service: str, ask: Callable[[], Any]) -> Any:
        if silent := self._silent.get(service):
            raise Silent(str(silent)) from silent
        try:
            return ask()
        except Silent as fault:
            self._silent[service] = fault
            raise

    def _ask(
        self,
        method: str,
        service: str,
        url: str,
        kind: str = "",
        native: str = "",
        body: object = None,
        *,
        data: bytes | BinaryIO | None = None,
        type: str = "",
        version: str = "",
    ) -> Any:
        retried = method == "GET"

        def send() -> Any:
            return self._adapters(service).request(
                url,
                method,
                json=body,
                data=data,
                headers={"Content-Type": type} if type else None,
                raise_exc=False,
                log=False,
                microversion=version or MICROVERSIONS.get(service),
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                connect_retries=0,
                status_code_retries=1 if retried else 0,
                status_code_retry_delay=0.2,
            )

        try:
            answer = twice(send, exceptions.RetriableConnectionFailure) if retried else send()
            if answer.status_code == 401 and data is None:  # of several, keystoneauth gets only the first another token
                answer = send()
        except exceptions.EndpointNotFound as error:
            raise Unavailable(f"The cloud's catalogue has no {service} service.") from error
        except (exceptions.AuthorizationFailure, exceptions.Unauthorized) as error:
            raise NotTaken("The cloud no longer takes this tenant's token: sign the request again.") from error
        except exceptions.ClientException as error:
            raise Silent(f"The cloud's {service} service does not answer.") from error
        if answer.status_code == 406:
            raise Unsupported(
                f"The cloud's {service} service is too old for this: it lacks version {version} of its API."
            )
        if answer.status_code >= 400:
            refuse(answer.status_code, _text(answer), kind or service, native)
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None


def refuse(status: int, text: str, kind: str, native: str) -> NoReturn:
    """Raise the Fault of an answer. Codes and texts are those of the services' API references."""
    if status == 404:
        raise NotFound(kind, native)
    if status in (403, 409, 413) and _QUOTA.search(text):
        raise QuotaExceeded("cpu" if kind == "server" and "cores" in text else kind, native, text)
    if status == 401:
        raise Unavailable("The cloud no longer takes this token: a request that is signed anew gets another one.")
    if status == 403:
        raise Unauthorized(text) if _POLICY.search(text) else Denied(text or "The cloud does not allow this.")
    if _FULL.search(text):
        raise NoCapacity("address" if "address" in text else kind, native, text)
    if taken := _TAKEN.search(text):
        raise Conflict("address", taken[1], text, "in-use")
    if status == 409 and "already exists" in text:
        raise Conflict(kind, native, text, "duplicate")
    if status in (409, 412):
        raise Conflict(kind, native, text, "in-use" if _IN_USE.search(text) else "state")
    if status == 429:
        raise Throttled("The cloud takes no more requests of this project for a while.")
    if status >= 500:
        raise Unavailable(f"The cloud answered with {status}: {text}" if status != 500 else "The cloud has failed.")
    raise Invalid(text)


def _text(answer: Any) -> str:
    """What a service says of its refusal: each wraps it in another way."""
    try:
        said = answer.json()
    except ValueError:
        return ""
    while isinstance(said, dict) and said:
        said = said.get("message") or said.get("NeutronError") or next(iter(said.values()))
    return str(said)[:500] if isinstance(said, str) else ""


def _url(path: str, query: Mapping[str, object]) -> str:
    """Values that are collections are given once each; those that are None are not given."""
    pairs = [
        (name, one)
        for name, value in query.items()
        if value is not None
        for one in ([value] if isinstance(value, str) or not isinstance(value, Collection) else value)
    ]
    if not pairs:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"


def _next(page: Item, key: str, path: str) -> str:
    """The query of the next page on the same path: hosts in links may be those of the inside."""
    links = page.get(f"{key}_links") or ()
    href = next((link["href"] for link in links if link.get("rel") == "next"), page.get("next") or "")
    return f"{path.partition('?')[0]}?{href.partition('?')[2]}" if href else ""


def known(kind: str, native: str) -> str:
    """A native id fit for a path. Raises NotFound for what none can be."""
    if not _NATIVE.fullmatch(native):
        raise NotFound(kind, native[:64])
    return quote(native, safe="")


def found(read: Callable[[], T]) -> T | None:
    """What a read finds, or None."""
    try:
        return read()
    except NotFound:
        return None


def chosen(
    natives: Collection[str] | None, one: Callable[[str], Item], every: Callable[[], Sequence[Item]]
) -> Sequence[Item]:
    """Those of `natives` that exist, or all for None: a few one by one, more of them from the whole list."""
    if natives is None:
        return every()
    wanted = dict.fromkeys(natives)
    if len(wanted) > FEW:
        return [item for item in every() if item["id"] in wanted]
    return [item for item in for_each(lambda native: found(lambda: one(native)), list(wanted)) if item]
