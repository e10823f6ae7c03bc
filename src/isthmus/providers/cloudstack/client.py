"""CloudStack's wire: one tenant's signed calls, with paging and jobs.

Source: docs.cloudstack.apache.org, "CloudStack API basics".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from http import HTTPStatus
from itertools import count
from math import inf
from types import MappingProxyType
from typing import Any

import httpx

from isthmus.errors import Fault, Throttled, Unavailable
from isthmus.memo import Memo
from isthmus.providers.cloudstack import pace
from isthmus.providers.cloudstack.refusals import refuse
from isthmus.providers.cloudstack.seen import Parsed
from isthmus.providers.cloudstack.signing import Keys, signed
from isthmus.retry import twice

Item = Mapping[str, Any]
More = Mapping[str, Mapping[str, str]]
NO_MORE: More = MappingProxyType({})

CONNECT_SECONDS, READ_SECONDS = 5, 50
"""How long the cloud may take to accept a connection, and to say anything: EC2's clients wait for 60 seconds."""
PAGE = 500
"""Items asked for at a time: CloudStack's own `default.page.size`, which is also the most that it takes."""
JOB_SECONDS = 45
"""How long a job is waited for."""
FIRST_LOOK, LAST_LOOK, LONGER = 0.2, 2.0, 1.5
"""Seconds between two looks at a job: at first, at most, and by how much they grow."""
PACED_SECONDS, REQUEST_SECONDS = 15, 40
"""How long a call waits at most while CloudStack takes no more, and how long after a request began its calls do."""
KEPT = frozenset({"listVirtualMachines", "listVolumes"})
"""Lists that are long and asked for again and again, and have no secrets: what was parsed of them is kept."""
AT_ONCE = 32
"""Connections that are kept."""


class Unsure(Unavailable):
    """Whether what was asked is done, nobody knows."""


class Silent(Unsure):
    """The cloud did not answer at all."""


class Held(Throttled, Unsure):
    """A job goes on, and CloudStack takes no more questions about it for a while."""


class Wire:
    """The connections to one CloudStack; `url` is its API, such as https://cloud.example.org/client/api."""

    def __init__(self, url: str, *, verify: bool | str = True, seconds: float = READ_SECONDS) -> None:
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        waits = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        self._url = url
        self._http = httpx.Client(verify=verify, limits=limits, timeout=waits, trust_env=False)
        self._parsed = Parsed()

    @cached_property
    def pace(self) -> pace.Pace:
        return pace.Pace()

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:
        """Raises Silent."""
        return self._send(signed(keys, params, datetime.now(UTC)))

    def ping(self) -> None:
        """Raises Unavailable unless something answers there as CloudStack does: nobody in particular is refused."""
        _said(self._send({"command": "listCapabilities", "response": "json"}))

    def said(self, keys: Keys, params: Mapping[str, str], answer: httpx.Response) -> dict[str, Any]:
        """What an answer to `params` has under its command's name. Raises Unavailable."""
        if params["command"] not in KEPT or answer.status_code != HTTPStatus.OK:
            return _said(answer)
        asked = (keys.api, *sorted(params.items()))
        found: dict[str, Any] = self._parsed.of(asked, answer.content, partial(_said, answer))
        return found

    def _send(self, form: Mapping[str, str]) -> httpx.Response:
        try:
            return self._http.post(self._url, data=form)
        except httpx.TransportError as error:
            raise Silent("The cloud's API does not answer.") from error

    def close(self) -> None:
        self._http.close()


class Nowhere(Wire):
    """In place of a wire, for who has no keys: every call raises this fault."""

    def __init__(self, fault: Callable[[], Fault]) -> None:
        self._fault = fault

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:  # noqa: ARG002
        raise self._fault()


class Client:
    """Calls with one tenant's keys; `more` are parameters that all calls of a command have, by the commands' names.

    Raises nothing but Faults.
    """

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        memo: Memo | None = None,
        more: More = NO_MORE,
        under: Client | None = None,
        patient: float = inf,
    ) -> None:
        """`patient` is the monotonic time after which nothing waits while CloudStack takes no more calls."""
        self._wire = wire
        self._keys = keys
        self._memo = memo
        self._more = more
        self._under = under
        self._patient = patient

    def once(self) -> Client:
        """The same for one request: what was read is not asked for again until something is changed."""
        return Client(self._wire, self._keys, Memo(), self._more, patient=time.monotonic() + REQUEST_SECONDS)

    def steady(self) -> Client:
        """The same for what is read once, whatever is changed after it; what was read already is not asked for."""
        return Client(self._wire, self._keys, Memo(), self._more, self, self._patient)

    def again(self) -> None:
        """Forget what was read: for those who wait for something to happen."""
        if self._memo:
            self._memo.clear()

    def read(self, command: str, kind: str = "", native: str = "", /, **params: object) -> Item:
        """The answer to a command that changes nothing."""
        asked = flat(params)
        ask = partial(twice, partial(self._ask, command, asked, kind, native), Silent)
        if self._under:
            ask = partial(self._under.read, command, kind, native, **params)
        if self._memo is None:
            return ask()
        found: Item = self._memo.get((command, *sorted(asked.items())), ask)
        return found

    def every(self, command: str, key: str, /, **params: object) -> list[Item]:
        """All pages of a list; `key` is the name of its items in the answer."""
        found: list[Item] = []
        while True:
            page = self.read(command, page=len(found) // PAGE + 1, pagesize=PAGE, **params)
            items = page.get(key, ())
            found += items
            if len(items) < PAGE or len(found) >= page.get("count", 0):
                return found

    def begin(self, command: str, kind: str = "", native: str = "", /, **params: object) -> Item:
        """The answer to a command that changes something: for a job its `jobid`, and the `id` of what it makes."""
        try:
            return self._ask(command, flat(params), kind, native)
        finally:
            self.again()

    def do(self, command: str, kind: str = "", native: str = "", /, **params: object) -> Item:
        """What a command has done: a job is waited for."""
        answer = self.begin(command, kind, native, **params)
        return self.done(answer["jobid"], kind, native) if "jobid" in answer else answer

    def done(self, job: str, kind: str = "", native: str = "", seconds: float = JOB_SECONDS) -> Item:
        """What a job has done. Raises the Fault that it failed with, and Unavailable for one that takes longer."""
        until, pause = time.monotonic() + seconds, FIRST_LOOK
        while True:
            told = self._looked_at(job)
            if told["jobstatus"]:
                break
            if time.monotonic() + pause > until:
                raise Unsure("The cloud is still busy with this: look later whether it is done.")
            time.sleep(pause)
            pause = min(pause * LONGER, LAST_LOOK)
        self.again()
        result: Item = told.get("jobresult") or {}
        if told["jobstatus"] != 1:
            refuse(result.get("errorcode", told.get("jobresultcode", 530)), result.get("errortext", ""), kind, native)
        return result

    def _looked_at(self, job: str) -> Item:
        try:
            return twice(partial(self._ask, "queryAsyncJobResult", {"jobid": job}, "job", job), Silent)
        except Throttled as fault:
            raise Held(str(fault)) from fault

    def _ask(self, command: str, params: Mapping[str, str], kind: str, native: str) -> Item:
        asked = {"command": command, "response": "json", **self._more.get(command, {}), **params}
        answer = self._posted(asked)
        said = self._wire.said(self._keys, asked, answer)
        if answer.status_code >= 400 or "errorcode" in said:
            refuse(said.get("errorcode", answer.status_code), said.get("errortext", ""), kind, native)
        return said

    def _posted(self, asked: Mapping[str, str]) -> httpx.Response:
        """The answer to a call that CloudStack took: what it refuses for their number it has not begun to do.

        Raises Silent, Throttled.
        """
        until = min(self._patient, time.monotonic() + PACED_SECONDS)
        for refusals in count():
            self._wire.pace.wait(self._keys.api, until)
            answer = self._wire.post(self._keys, asked)
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            self._wire.pace.refused(self._keys.api, pace.told(answer, refusals))
        return answer


_NATIVE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_native(text: str) -> bool:
    """Whether a text can be an id of CloudStack's."""
    return bool(_NATIVE.fullmatch(text))


def _said(answer: httpx.Response) -> dict[str, Any]:
    """What an answer has under its command's name. Raises Unavailable."""
    try:
        said = next(iter(answer.json().values()))
    except (ValueError, AttributeError, StopIteration):
        said = None
    if not isinstance(said, dict):
        raise Unsure(f"The cloud answered with {answer.status_code}, and not as CloudStack does.")
    return said


def flat(params: Mapping[str, object]) -> dict[str, str]:
    """Parameters as they are sent: `a,b` for lists, `details[0].key=value` for maps; those that are None are not."""
    made: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            made.update({f"{name}[0].{key}": _text(one) for key, one in value.items()})
        elif isinstance(value, Sequence) and not isinstance(value, str):
            made.update(_listed(name, value))
        elif value is not None:
            made[name] = _text(value)
    return made


def _listed(name: str, values: Sequence[Any]) -> dict[str, str]:
    if values and isinstance(values[0], Mapping):
        return {f"{name}[{n}].{key}": _text(one) for n, each in enumerate(values) for key, one in each.items()}
    return {name: ",".join(map(_text, values))}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
