"""Starting a machine's process, which outlives this one and belongs to nobody but the host's first process.

QEMU can put itself into the background, but has to be allowed to start programs for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time

from isthmus.providers.local import journal, process
from isthmus.providers.local.machine import Machine, command
from isthmus.providers.local.qmp import Qmp, QmpError

LAUNCH_SECONDS = 60
LOOK_SECONDS = 0.02
ANSWER_SECONDS = 10.0
LONGEST = 4096
"""Bytes of what a machine says that are kept."""
BEHIND = 'setsid "$@" &'


class LaunchError(Exception):
    """QEMU refused to start; the text is its own, for the log."""


def start(machine: Machine) -> None:
    """Start a machine, and wait until it answers; LaunchError with its words if it ends before, or does not answer."""
    journal.prepare(machine.directory)
    (machine.directory / "qmp.sock").unlink(missing_ok=True)
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0):  # noqa: PTH123
        try:
            subprocess.run(
                ["sh", "-c", BEHIND, "sh", *command(machine)],
                cwd=machine.directory,
                pass_fds=[tap.descriptor for tap in machine.nic] if isinstance(machine.nic, tuple) else (),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=writing,
                timeout=LAUNCH_SECONDS,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            raise LaunchError(str(error)) from None
        finally:
            os.close(writing)
        _await(machine, reading)


def _await(machine: Machine, saying: int) -> None:
    """Until the machine answers. What it says later on goes nowhere, as it cannot write to a pipe that is closed."""
    said = b""
    deadline = time.monotonic() + LAUNCH_SECONDS
    while time.monotonic() < deadline:
        if select.select([saying], [], [], LOOK_SECONDS)[0]:
            part = os.read(saying, LONGEST)
            if not part:
                raise LaunchError(json.dumps(said.decode(errors="replace").strip()[-500:]))
            said = (said + part)[-LONGEST:]
        elif _answers(machine):
            return
    for pid, name in list(process.machines(machine.name)):
        if name == machine.name:
            process.terminate(pid, name, patience=2)
    raise LaunchError(f"it does not answer within {LAUNCH_SECONDS} seconds")


def _answers(machine: Machine) -> bool:
    """Whether all of it is made, as it answers no question before."""
    with contextlib.suppress(QmpError), Qmp(machine.directory / "qmp.sock", ANSWER_SECONDS) as monitor:
        monitor("query-status")
        return True
    return False
