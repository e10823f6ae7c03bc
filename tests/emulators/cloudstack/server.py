"""A CloudStack for tests: one that is strict where the real one is lenient.

It refuses what the contract does not know, and notes what it says itself beyond that. It has no guests, no virtual
router and no capacity of its own: what only a real CloudStack can show, it cannot.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import uvicorn
from emulators.cloudstack import signatures
from emulators.cloudstack.commands import ACTS
from emulators.cloudstack.commands.acts import Params
from emulators.cloudstack.contract import COMMON, Command, commands
from emulators.cloudstack.world import CUT, SILENT, Account, Item, Refusal, World

PAGE = 500
_BODY_BYTES = 1 << 20


class Cut(Exception):
    """The connection is to be closed in the middle of the answer."""


class Emulator:
    """`posts`: state is changed by POST alone, and signatures are those of version 3, which expire soon, as with
    `enforce.post.requests.and.timestamps`."""

    def __init__(self, world: World, *, posts: bool = True) -> None:
        self.world = world
        self.posts = posts
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body") or len(body) > _BODY_BYTES:
                break
        sent = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        sent |= dict(parse_qsl(body.decode(), keep_blank_values=True))
        name = next((value for key, value in sent.items() if key.lower() == "command"), "")
        status, said, fault = 200, {}, None
        try:
            with self.world.lock:
                self.world.asked[name] += 1
                fault = self.world.fault_of(name)
                if isinstance(fault, Refusal):
                    raise fault
                said = self._answer(scope["method"], name, sent)
        except Refusal as refusal:
            status, said = refusal.code, refusal.said()
        if fault == SILENT:
            await asyncio.Event().wait()
        text = json.dumps({f"{name.lower() or 'error'}response": said}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if fault == CUT:
            await send({"type": "http.response.body", "body": text[: len(text) // 2], "more_body": True})
            raise Cut
        await send({"type": "http.response.body", "body": text})

    def _answer(self, method: str, name: str, sent: Params) -> Item:
        small = {key.lower(): value for key, value in sent.items()}
        account = self._account(small, sent)
        self.world.count(account)
        command, act = commands().get(name.lower()), ACTS.get(name.lower())
        if command is None or act is None or not self.world.may(account, name.lower()):
            raise Refusal(432, f"The given command:{name} does not exist or it is not available for user", 4555)
        if self.posts and command.changes and method != "POST":
            raise Refusal(430, f"{command.name} is to be sent by POST", 4350)
        params = {key: value for key, value in small.items() if key not in COMMON}
        if reason := command.wrong(params, account.role):
            raise Refusal(431, f"Unable to execute API command {name.lower()} due to {reason}", 9999)
        self.world.run_jobs()
        if "project" not in command.name.lower():
            account = self.world.acting(account, params)
        return self._said(command, act(self.world, account, params), params)

    def _account(self, small: Params, sent: Params) -> Account:
        account = self.world.accounts.get(small.get("apikey", ""))
        if (
            account is None
            or {account.id, account.user} & self.world.disabled
            or signatures.wrong(account.secret, sent, self.world.now(), enforced=self.posts)
        ):
            raise Refusal(401, "unable to verify user credentials and/or request signature", 4290)
        return account

    def _said(self, command: Command, done: Item | list[Item], params: Params) -> Item:
        """An answer as the server wraps it, and judged by the contract."""
        if isinstance(done, list):
            for one in done:
                self.world.complaints += command.strange(one)
            items = _page(done, params)
            own = command.name.removeprefix("list").lower() if command.name.startswith("list") else command.object
            key = command.list_key or own
            return {"count": len(done), key: items} if done else {}
        self.world.complaints += strange_start(done) if command.asynchronous else command.strange(done)
        wrapped = command.object and not command.asynchronous and not {"success", "jobid"} & done.keys()
        return {command.object: done} if wrapped else done


def strange_start(begun: Item) -> list[str]:
    """What else than a job and what it is about is said as it begins."""
    wrong = [name for name, value in begun.items() if name not in ("jobid", "id") or not isinstance(value, str)]
    return wrong if "jobid" in begun else ["a job without an id"]


def _page(items: list[Item], params: Params) -> list[Item]:
    page, size = params.get("page"), params.get("pagesize")
    if (page is None) != (size is None):
        raise Refusal(431, "page and pagesize go together", 4350)
    if int(size or PAGE) > PAGE:
        raise Refusal(431, f"Page size can not exceed max allowed page size value: {PAGE}", 4350)
    start = (int(page or 1) - 1) * int(size or PAGE)
    return items[start : start + int(size or PAGE)]


@contextmanager
def running(emulator: Emulator) -> Iterator[Emulator]:
    """The emulator on a port of its own, for as long as it is used."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(emulator, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        emulator.url = f"http://127.0.0.1:{listening.getsockname()[1]}/client/api"
        try:
            yield emulator
        finally:
            server.should_exit = True
            thread.join(10)
