"""The measurement on the embedded cloud: from the request to a line that the guest's user data printed."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
import urllib.request
from pathlib import Path

from bench import servers
from bench.figures import Figure, under
from bench.requests import Caller
from bench.wire import AnswerError, Line

_MARK = "user data ran in the guest"
_SECONDS = 90
_POLL = 0.05


class LeftOutError(Exception):
    """Why this machine cannot run it."""


def launch_to_user_data(scratch: Path, rounds: int) -> Figure:
    """Seconds from RunInstances to the mark in GetConsoleOutput, one guest at a time. Raises LeftOutError."""
    if not shutil.which("qemu-system-x86_64"):
        raise LeftOutError("QEMU is not installed")
    state = scratch / "guests"
    with servers.isthmus(state, "--cloud", "local") as server:
        caller = servers.callers(state, server.endpoint, ["guests"])["guests"]
        image = machine_image(caller)
        _once(caller, image)  # the first one tries the accelerators
        taken = [_once(caller, image) for _ in range(rounds)]
        accelerator = _accelerator(server.endpoint)
    return Figure(
        "launch to 'user data ran' on the local cloud", "s", {"isthmus": taken}, (under(8, "s"),),
        f"accelerator: {accelerator}",
    )  # fmt: skip


def _once(caller: Caller, image: str) -> float:
    script = base64.b64encode(f"#!/bin/sh\necho {_MARK} > /dev/console\n".encode()).decode()
    with Line(caller.endpoint) as line:
        begun = time.perf_counter()
        body = line.ask(
            caller.request(
                "RunInstances", ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=script
            )
        )
        found = re.search(rb"<instanceId>(i-\w+)", body)
        assert found
        instance = found[1].decode()
        try:
            while _MARK not in _console(line, caller, instance):
                if time.perf_counter() - begun > _SECONDS:
                    raise LeftOutError(f"the guest printed nothing of its user data within {_SECONDS} s")
                time.sleep(_POLL)
            return time.perf_counter() - begun
        finally:
            line.ask(caller.request("TerminateInstances", InstanceId__1=instance))
            _await_end(line, caller, instance)


def _await_end(line: Line, caller: Caller, instance: str) -> None:
    """So that the next guest has the machine for itself."""
    until = time.perf_counter() + _SECONDS
    while b"<name>terminated</name>" not in line.ask(caller.request("DescribeInstances", InstanceId__1=instance)):
        if time.perf_counter() > until:
            raise LeftOutError("the guest did not end")
        time.sleep(_POLL)


def _console(line: Line, caller: Caller, instance: str) -> str:
    body = line.ask(caller.request("GetConsoleOutput", InstanceId=instance))
    found = re.search(rb"<output>([^<]*)", body)
    return base64.b64decode(found[1]).decode("utf-8", "replace") if found else ""


def machine_image(caller: Caller) -> str:
    try:
        with Line(caller.endpoint) as line:
            body = line.ask(
                caller.request("DescribeImages", Filter__1__Name="image-type", Filter__1__Value__1="machine")
            )
    except AnswerError as failed:
        raise LeftOutError(str(failed)) from None
    if not (found := re.search(rb"<imageId>(ami-\w+)", body)):
        raise LeftOutError("the tiny image has not been built: python -m isthmus.providers.local.tiny")
    return found[1].decode()


def _accelerator(endpoint: str) -> str:
    """What really runs the guests."""
    with urllib.request.urlopen(f"{endpoint}/health", timeout=60) as answer:
        [cloud] = json.load(answer)["clouds"].values()
    return str(cloud["details"]["accelerator"])
