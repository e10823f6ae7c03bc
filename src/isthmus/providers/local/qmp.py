"""QEMU's monitor protocol over a Unix socket: one connection, one command at a time."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from isthmus.providers.local import sockets

PERIPHERALS = "/machine/peripheral"
"""Where a machine has the devices that were given a name."""


class QmpError(Exception):
    """QEMU refused a command, or is not there. `name` is QEMU's error class."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


class Qmp:
    """A connected monitor. A socket serves one client at a time: hold the server's lock while connected."""

    def __init__(self, path: Path, timeout: float = 10) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout)
        self._timeout = timeout
        try:
            with sockets.short(path) as name:
                self._socket.connect(name)
            self._lines = self._socket.makefile("rb")
            self._read()
            self("qmp_capabilities")
        except (OSError, QmpError) as error:
            self._socket.close()
            raise QmpError(f"the machine's monitor does not answer: {error}") from error

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lines.close()
        self._socket.close()

    def __call__(self, command: str, **arguments: Any) -> Any:
        """The command's answer; `_` in names stands for QMP's `-`."""
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            self._socket.sendall(json.dumps({"execute": command, "arguments": words}).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"{command}: {error}") from error
        return self._answer(command)

    def _answer(self, command: str) -> Any:
        """What the command, the last that was sent, answers."""
        deadline = time.monotonic() + self._timeout
        try:
            while "return" not in (answer := self._read()):
                if "error" in answer:
                    raise QmpError(f"{command}: {answer['error'].get('desc')}", answer["error"].get("class", ""))
                if time.monotonic() > deadline:
                    raise QmpError(f"{command}: no answer")
        except OSError as error:
            raise QmpError(f"{command}: {error}") from error
        return answer["return"]

    def give(self, name: str, descriptor: int) -> None:
        """Pass a descriptor to the machine, which knows it by `name` until it is used."""
        command = json.dumps({"execute": "getfd", "arguments": {"fdname": name}}).encode() + b"\n"
        try:
            socket.send_fds(self._socket, [command], [descriptor])
        except OSError as error:
            raise QmpError(f"getfd: {error}") from error
        self._answer("getfd")

    @contextmanager
    def opened(self, path: Path, flags: int) -> Iterator[str]:
        """What the machine, which may open nothing by itself, knows a file as, for a command that opens it."""
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            socket.send_fds(self._socket, [json.dumps({"execute": "add-fd"}).encode() + b"\n"], [descriptor])
        except OSError as error:
            raise QmpError(f"add-fd: {error}") from error
        finally:
            os.close(descriptor)
        number = self._answer("add-fd")["fdset-id"]
        try:
            yield f"/dev/fdset/{number}"
        finally:
            self("remove-fd", fdset_id=number)

    def human(self, line: str) -> str:
        """What the human monitor prints for `line`; for what QMP has no command for."""
        return str(self("human-monitor-command", command_line=line))

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QmpError("the machine has gone")
        answer: dict[str, Any] = json.loads(line)
        return answer
