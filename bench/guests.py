"""The measurements on the embedded cloud: from a request to a line that a guest prints."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import servers
from bench.figures import Figure, under
from bench.requests import Caller
from bench.wire import AnswerError, Line

LAUNCH = "launch to 'user data ran' on the local cloud"
ATTACH = "AttachVolume to 'the guest sees the disk' on the local cloud"
_MARK = "user data ran in the guest"
_WATCH = """#!/bin/sh
disks() { set -- /sys/block/vd* /sys/block/nvme*; echo $#; }
own=$(disks)
(had=$own; while usleep 10000; do
  set -- /sys/block/vd* /sys/block/nvme*
  [ $# = $had ] && continue
  had=$#
  [ $had = $own ] && echo disk gone || echo disk seen
done >/dev/console) &
echo WATCHES >/dev/console
"""
"""A guest that tells of disks that come and go."""
_SECONDS = 90
_POLL = 0.02


class LeftOutError(Exception):
    """Why this machine cannot run it."""


def launch_to_user_data(scratch: Path, rounds: int) -> Figure:
    """Seconds from RunInstances to the mark in GetConsoleOutput, one guest at a time. Raises LeftOutError."""
    with _local(scratch / "guests") as caller:
        image = machine_image(caller)
        _once(caller, image)  # the first one tries the accelerators
        taken = [_once(caller, image) for _ in range(rounds)]
        note = _accelerator(caller.endpoint)
    return Figure(LAUNCH, "s", {"isthmus": taken}, (under(8, "s"),), note)


def attach_to_seen(scratch: Path, rounds: int) -> Figure:
    """Seconds from AttachVolume until GetConsoleOutput has the guest's word of the disk. Raises LeftOutError."""
    with _local(scratch / "attaching") as caller, Line(caller.endpoint) as line:
        instance = _launch(line, caller, machine_image(caller), _WATCH)
        try:
            _await_said(line, caller, instance, "WATCHES")
            _await_said(line, caller, instance, "tiny: ready")
            volume = _volume(line, caller)
            taken = [_attach(line, caller, instance, volume, number) for number in range(1, rounds + 1)]
            note = _accelerator(caller.endpoint)
        finally:
            line.ask(caller.request("TerminateInstances", InstanceId__1=instance))
            _await_end(line, caller, instance)
    return Figure(ATTACH, "s", {"isthmus": taken}, (under(1, "s"),), note)


@contextmanager
def _local(state: Path) -> Iterator[Caller]:
    if not shutil.which("qemu-system-x86_64"):
        raise LeftOutError("QEMU is not installed")
    with servers.isthmus(state, "--cloud", "local") as server:
        yield servers.callers(state, server.endpoint, ["guests"])["guests"]


def _volume(line: Line, caller: Caller) -> str:
    body = line.ask(caller.request("CreateVolume", AvailabilityZone="us-east-1a", Size=1))
    found = re.search(rb"<volumeId>(vol-\w+)", body)
    assert found
    return found[1].decode()


def _attach(line: Line, caller: Caller, instance: str, volume: str, number: int) -> float:
    """And detach again, until the guest says so."""
    request = caller.request("AttachVolume", VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    begun = time.perf_counter()
    line.ask(request)
    _await_said(line, caller, instance, "disk seen", number)
    taken = time.perf_counter() - begun
    line.ask(caller.request("DetachVolume", VolumeId=volume))
    _await_said(line, caller, instance, "disk gone", number)
    until = time.perf_counter() + _SECONDS
    while b"<status>available</status>" not in line.ask(caller.request("DescribeVolumes", VolumeId__1=volume)):
        if time.perf_counter() > until:
            raise LeftOutError("the guest did not let go of a disk")
        time.sleep(_POLL)
    return taken


def _launch(line: Line, caller: Caller, image: str, script: str) -> str:
    data = base64.b64encode(script.encode()).decode()
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "UserData": data}
    found = re.search(rb"<instanceId>(i-\w+)", line.ask(caller.request("RunInstances", **asked)))
    assert found
    return found[1].decode()


def _await_said(line: Line, caller: Caller, instance: str, words: str, times: int = 1) -> None:
    until = time.perf_counter() + _SECONDS
    while _console(line, caller, instance).count(words) < times:
        if time.perf_counter() > until:
            raise LeftOutError(f"the guest did not say '{words}' within {_SECONDS} s")
        time.sleep(_POLL)


def _once(caller: Caller, image: str) -> float:
    with Line(caller.endpoint) as line:
        begun = time.perf_counter()
        instance = _launch(line, caller, image, f"#!/bin/sh\necho {_MARK} > /dev/console\n")
        try:
            _await_said(line, caller, instance, _MARK)
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
    """What really runs the guests, in words."""
    with urllib.request.urlopen(f"{endpoint}/health", timeout=60) as answer:
        [cloud] = json.load(answer)["clouds"].values()
    return f"accelerator: {cloud['details']['accelerator']}"
