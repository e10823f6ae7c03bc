"""One AWS service: its actions, and all that is the same for every one of them.

An action sees a decoded, complete request and answers a dict. Unknown, missing and malformed parameters, ids,
DryRun, ClientToken, TagSpecifications, filters, paging and encoding are done here, once.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

from isthmus.aws import filters
from isthmus.aws.codec import Codec
from isthmus.aws.errors import AwsError
from isthmus.aws.paging import Page, page_of, token_for
from isthmus.aws.tagging import tags_of
from isthmus.context import Context, Seed
from isthmus.core.once import Mismatch, once
from isthmus.errors import Broken, Fault

Answer = Mapping[str, Any]
Run = Callable[[Context, Any], Any]
Fold = Callable[[Sequence[Mapping[str, Any]]], Answer]


@dataclass(frozen=True)
class Listing:
    """How a describe is paged: by `key`, in its order."""

    key: tuple[str, ...]
    ordered: bool = False
    """Whether the action yields in that order by itself, and only what is of `cx.only` and behind `cx.after`."""
    fold: Fold | None = None
    """Makes the answer of a page's items, where it is more than a list of them."""
    exclusive: str = ""
    """The ids parameter that cannot go with MaxResults."""
    least: int = 1
    """The smallest page that may be asked for, where the model does not say it."""
    echoes: tuple[str, ...] = ()
    """What of the request stands in the answer again."""


@dataclass(frozen=True)
class Action:
    name: str
    run: Run
    makes: tuple[str, ...] = ()
    """EC2's words for the resource types that TagSpecifications may name."""
    refuses: Mapping[str, str] = field(default_factory=dict)
    """Parameters that cannot be honoured, each with the reason."""
    listing: Listing | None = None
    longest_token: int = 64
    """Characters of a ClientToken. Source: the EC2 API reference."""


class Service:
    def __init__(
        self,
        name: str,
        faults: Callable[[Context, Fault], AwsError],
        check: Callable[[Codec, str, Mapping[str, Any]], None],
    ) -> None:
        self.name = name
        self.actions: dict[str, Action] = {}
        self.unsupported: dict[str, str] = {}
        """Actions that mean nothing on a private cloud, each with the reason."""
        self.strict = False
        """Whether each answer is checked against the model: in tests, a wrong answer is an error."""
        self._faults = faults
        self._check = check

    @cached_property
    def codec(self) -> Codec:
        return Codec(self.name)

    def action(
        self,
        name: str,
        makes: Iterable[str] = (),
        refuses: Mapping[str, str] | None = None,
        longest_token: int = Action.longest_token,
    ) -> Callable[[Run], Run]:
        """Serve an action by the decorated function."""

        def serve(run: Run) -> Run:
            self.actions[name] = Action(name, run, tuple(makes), refuses or {}, longest_token=longest_token)
            return run

        return serve

    def listing(
        self,
        name: str,
        key: str | tuple[str, ...],
        *,
        ordered: bool = False,
        fold: Fold | None = None,
        exclusive: str = "",
        least: int = 1,
        echoes: tuple[str, ...] = (),
    ) -> Callable[[Run], Run]:
        """Serve a describe by the decorated generator of rendered items."""
        keys = (key,) if isinstance(key, str) else key

        def serve(run: Run) -> Run:
            self.actions[name] = Action(name, run, listing=Listing(keys, ordered, fold, exclusive, least, echoes))
            return run

        return serve

    def call(self, cx: Context, name: str, pairs: Sequence[tuple[str, str]]) -> bytes:
        """Answer a request whose sender is known. Raises AwsError."""
        action = self._find(name)
        request = self.codec.decode(name, pairs)
        try:
            answer = self._run(cx, action, request)
        except Broken:
            raise
        except Fault as fault:
            raise self._faults(cx, fault) from fault
        if self.strict and (wrong := self.codec.validate(name, answer)):
            raise AssertionError(f"{name} answered against the model: {'; '.join(wrong)}")
        return self.codec.encode(name, answer, version=cx.version, request_id=cx.request_id)

    def _find(self, name: str) -> Action:
        if action := self.actions.get(name):
            return action
        if name not in self.codec.operations:
            raise AwsError("InvalidAction", f"The action {name} is not valid for this web service.")
        reason = self.unsupported.get(name, "Isthmus does not serve this action.")
        raise AwsError("UnsupportedOperation", f"The action {name} is not supported. {reason}")

    def _run(self, cx: Context, action: Action, request: dict[str, Any]) -> Answer:
        dry_run = request.pop("DryRun", False)
        self._check(self.codec, action.name, request)
        for parameter, reason in action.refuses.items():
            if request.get(parameter):
                raise AwsError("UnsupportedOperation", f"The parameter {parameter} is not supported. {reason}")
        tags = tags_of(request.pop("TagSpecifications", ()), action.makes)
        if dry_run:
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        cx = replace(cx, tags=tags) if tags else cx
        if action.listing:
            return self._list(cx, action, action.listing, request)
        token = request.pop("ClientToken", "")
        if token:
            return self._run_once(cx, action, request, token)
        return action.run(cx, request) or {}

    def _run_once(self, cx: Context, action: Action, request: dict[str, Any], token: str) -> Answer:
        if len(token) > action.longest_token:
            raise AwsError("InvalidParameterValue", f"A ClientToken has at most {action.longest_token} characters.")
        said = json.dumps([request, cx.tags], sort_keys=True, default=str)

        def run(seed: str) -> Answer:
            return action.run(replace(cx, token=token, seed=Seed(seed)), request) or {}

        digest = hashlib.sha256(said.encode()).hexdigest()
        try:
            return once(cx.store, cx.account, action.name, token, digest, cx.now(), run)
        except Mismatch as mismatch:
            raise AwsError(
                "IdempotentParameterMismatch",
                f"The client token {token} was used before with other parameters.",
            ) from mismatch

    def _list(self, cx: Context, action: Action, listing: Listing, request: dict[str, Any]) -> Answer:
        page = page_of(cx, action.name, listing.exclusive, self._bounds(action.name, listing.least), request)
        wanted = request.pop("Filters", None) or request.pop("Filter", None)
        hints = filters.hints(wanted) if wanted else {}
        if listing.ordered:
            only = filters.only(cx.view().tags, listing.key[-1], hints) if hints else None
            cx = replace(cx, after=page.after, only=only)
        if wanted:
            cx = replace(cx, hints=hints, filtered=frozenset(one.get("Name", "") for one in wanted))
        items: Iterable[Mapping[str, Any]] = action.run(cx, request)
        if wanted:
            items = filter(filters.matcher(self.codec, action.name, wanted), items)
        if not listing.ordered:
            items = _behind(listing, sorted(items, key=lambda item: _key(listing, item)), page.after)
        again = {name: request[name] for name in listing.echoes}
        return {**again, **self._fold(action, listing, *_cut(cx, listing, items, page))}

    def _fold(self, action: Action, listing: Listing, items: list[Mapping[str, Any]], token: str) -> Answer:
        answer = listing.fold(items) if listing.fold else {self._list_member(action.name): items}
        return {**answer, "NextToken": token} if token else answer

    def _bounds(self, name: str, least: int) -> tuple[int, int | None]:
        """The smallest and largest page that may be asked for, from the model where it says so."""
        shape = self.codec.operations[name].input
        size = shape.members.get("MaxResults") if shape else None
        said = size.metadata if size else {}
        return int(said.get("min", least)), int(said["max"]) if "max" in said else None

    def _list_member(self, name: str) -> str:
        output = self.codec.operations[name].output
        members = output.members.items() if output else ()
        return next(member for member, shape in members if shape.type_name == "list")


def _key(listing: Listing, item: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(item.get(name, "")) for name in listing.key)


def _cut(
    cx: Context, listing: Listing, items: Iterable[Mapping[str, Any]], page: Page
) -> tuple[list[Mapping[str, Any]], str]:
    """A page of the items and the token of the next one, empty if there is none."""
    rest = iter(items)
    if not page.size:
        return list(rest), ""
    cut = list(islice(rest, page.size))
    if next(rest, None) is None:
        return cut, ""
    return cut, token_for(cx, page, _key(listing, cut[-1]))


def _behind(
    listing: Listing, items: Sequence[Mapping[str, Any]], after: tuple[str, ...]
) -> Sequence[Mapping[str, Any]]:
    """What follows a key, of items in their order."""
    return items[bisect_right(items, after, key=lambda item: _key(listing, item)) :] if after else items
