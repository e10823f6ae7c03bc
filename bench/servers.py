"""The servers that are compared, each in a process of its own as a user would start it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.requests import Caller
from isthmus import config, opening
from isthmus.store import Store

MOTO = "moto[server,ec2]>=5.2"
_START_SECONDS = 60
_SETTINGS = "[limits]\ninstances = 200_000\nvolumes = 200_000\n"


@dataclass(frozen=True)
class Server:
    endpoint: str
    pid: int
    listening: float
    """Seconds from the start of the process until it answered."""

    def resident(self) -> float:
        """MB of memory that are resident now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def isthmus(
    state: Path, *arguments: str, settings: str = _SETTINGS, module: Sequence[str] = ("isthmus",)
) -> Iterator[Server]:
    """`isthmus serve`, by default with room for as many instances as are measured. `module` is what is run instead."""
    file = state.parent / f"{state.name}.toml"
    file.write_text(settings)
    command = [sys.executable, "-m", *module, "serve", "--state", str(state), "--config", str(file)]
    with running([*command, "--listen", "127.0.0.1:0", *arguments], state.parent / f"{state.name}.log") as server:
        yield server


@contextmanager
def bare(directory: Path) -> Iterator[Server]:
    with running([sys.executable, "-m", "bench.bare", str(directory)], directory.parent / "bare.log") as server:
        yield server


@contextmanager
def moto(cache: Path, scratch: Path) -> Iterator[Server]:
    """`moto_server` as it is installed and started by a user, in a virtual environment of its own."""
    program = install_moto(cache)
    port = free_port()
    command = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    with running(command, scratch / "moto.log", f"http://127.0.0.1:{port}") as server:
        yield server


def callers(state: Path, endpoint: str, names: Sequence[str]) -> Mapping[str, Caller]:
    """An account of its own for each measurement."""
    settings = config.load(flags={"state": str(state)}, environ={})
    store = Store.open(settings.store_url, opening.master_key(settings))
    try:
        made = {name: store.create_credential(store.create_account(name).id) for name in names}
    finally:
        store.close()
    return {name: Caller(endpoint, one.access_key, one.secret) for name, one in made.items()}


@contextmanager
def running(command: Sequence[str], log: Path, endpoint: str = "") -> Iterator[Server]:
    """A process that says where it listens, or is known to listen at `endpoint`; ended with the block."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ISTHMUS_"))}
    with log.open("ab") as errors:
        begun = time.perf_counter()
        out = errors if endpoint else subprocess.PIPE
        process = subprocess.Popen(command, stdout=out, stderr=errors, env=environ)
        try:
            found = endpoint or _said(process, log)
            if endpoint:
                _await(endpoint, process, log)
            yield Server(found, process.pid, time.perf_counter() - begun)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _said(process: subprocess.Popen[bytes], log: Path) -> str:
    """Where the process says it listens."""
    assert process.stdout
    for line in process.stdout:
        if b"listens on " in line:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return line.split(b"listens on ")[1].decode().strip()
    raise RuntimeError(log.read_text())


def _await(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(endpoint, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()) from None
            time.sleep(0.01)


def install_moto(cache: Path) -> Path:
    home = cache / "venv"
    program = home / "bin" / "moto_server"
    if not program.exists():
        print(f"Installing {MOTO} into {home} ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "pip"), "install", "-q", MOTO], check=True, stderr=subprocess.DEVNULL)
    return program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
