"""Which accelerator guests run on: /dev/kvm is believed only after a guest has booted on it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from isthmus.providers.local.machine import ACCELERATORS, QEMU
from isthmus.providers.local.tables import FileLock, write

KVM = Path("/dev/kvm")
PROBE_SECONDS = 6
"""An emulated guest's kernel is up in two: a slower "accelerator" is none, whatever it is."""
SIGN = b"Linux version"
"""What the kernel prints first. Some KVMs get through the firmware, and then crawl for minutes."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    name: str
    reason: str
    key: str = ""
    """What the answer depends on: QEMU's version, the kernel, and the device's identity."""


class Chooser:
    def __init__(self, state: Path, wish: str) -> None:
        self._state = state
        self._wish = wish
        self._file = state / "accelerator.json"

    def known(self) -> Accelerator | None:
        """The answer, if it needs no probe or there was one; `key` is not checked."""
        if self._wish != "auto":
            return Accelerator(self._wish, "as configured")
        if reason := _no_kvm():
            return Accelerator("tcg", reason)
        try:
            return Accelerator(**json.loads(self._file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def choose(self, kernel: Path | None) -> Accelerator:
        """The accelerator for a boot now. Probes, for at most PROBE_SECONDS, if that has not been done."""
        key = _key(kernel)
        with FileLock(self._state / "locks" / "accelerator"):
            known = self.known()
            if known and (not known.key or known.key == key):
                return known
            if kernel is None:
                return Accelerator("tcg", "/dev/kvm cannot be tried before the tiny image is built")
            found = _judge(probe(kernel), key)
            write(self._file, json.dumps(asdict(found)))
            return found


def _judge(works: bool, key: str) -> Accelerator:
    if works:
        return Accelerator("kvm", "a probe guest booted on /dev/kvm", key)
    return Accelerator("tcg", f"there is a /dev/kvm, but no guest boots on it within {PROBE_SECONDS} s", key)


def _no_kvm() -> str:
    if not KVM.exists():
        return "this host has no /dev/kvm"
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "/dev/kvm is not for this user (it usually belongs to the group kvm)"
    return ""


def _key(kernel: Path | None) -> str:
    program = shutil.which(QEMU)
    version = ""
    if program:
        status = Path(program).stat()
        version = f"{program} {status.st_size} {status.st_mtime_ns}"
    device = ""
    with contextlib.suppress(OSError):
        known = KVM.stat()
        device = f"{known.st_dev} {known.st_ino} {known.st_rdev}"
    return f"{version}; {kernel.name if kernel else ''}; {device}; {os.uname().release}"


def probe(kernel: Path) -> bool:
    """Whether a kernel without a disk comes to its panic on KVM in time. The guest cannot outlive its time limit."""
    accelerator, cpu = ACCELERATORS["kvm"]
    with tempfile.TemporaryDirectory(prefix="isthmus-probe-") as scratch:
        console = Path(scratch) / "console"
        guest = [QEMU, "-machine", "pc", "-accel", accelerator, "-cpu", cpu, "-m", "128M", "-no-reboot"]
        guest += ["-nodefaults", "-no-user-config", "-display", "none", "-kernel", str(kernel)]
        guest += ["-append", "console=ttyS0 panic=-1", "-serial", f"file:{console}"]
        try:
            done = subprocess.run(
                ["timeout", "--signal=KILL", str(PROBE_SECONDS), *guest],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=PROBE_SECONDS * 2,
                check=False,
            )
            return done.returncode == 0 and SIGN in console.read_bytes()
        except (OSError, subprocess.TimeoutExpired):
            return False
