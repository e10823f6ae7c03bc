"""The demo: a real virtual machine on this host, launched through Isthmus by the AWS CLI as it comes from PyPI.

`make demo` runs it. Everything it makes is in one directory of the user's cache, and gone when it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

T = TypeVar("T")
BIN = Path(sys.executable).parent
AWS = BIN.parent / "awscli" / "bin" / "aws"
HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isthmus" / "demo"
STATE = HOME / "state"
LOG = HOME / "serve.log"
KEY = HOME / "demo.pem"
KNOWN_HOSTS = HOME / "known_hosts"
USER_DATA = HOME / "user-data.sh"
MARK = "Hello from user-data! I am"
SCRIPT = f"""#!/bin/sh
echo "{MARK} $(imds meta-data/instance-id), the metadata service says."
"""
VISITOR_DATA = HOME / "visitor-data.sh"
VISITOR = """#!/bin/sh
(while sleep 1; do
  found=$(nc -w 2 {address} 22 </dev/null 2>/dev/null | head -c 3)
  echo "At {address} I find ${{found:-nothing}}."
done >/dev/console) &
"""
"""What a second instance does: it looks for the first one's ssh, and says on its console what it finds."""
LIFT = 10000
"""What the local cloud adds to a port on which an ordinary user may not listen."""
PATIENCE = 180
"""Seconds that any one step may take."""


class DemoError(Exception):
    """What went wrong, in a sentence for the person who watches."""


class Story:
    """Tells each step and how long it took; on a terminal, also that one is going on."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.times: list[tuple[str, float]] = []
        self._now: Status | None = None
        self._said = ""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        begun = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(f"... {text}", highlight=False)
        with self.console.status(text) as self._now:
            yield
        seconds = time.monotonic() - begun
        self.times.append((text, seconds))
        self.console.print(f"[green]ok[/green]  {text}  [dim]{seconds:.1f} s[/dim]", highlight=False)

    def detail(self, text: str) -> None:
        """What the present step is doing now."""
        if not text or text == self._said:
            return
        self._said = text
        if self._now and self.console.is_terminal:
            self._now.update(escape(text))
        else:
            self.console.print(f"    {text}", highlight=False, markup=False)

    def show(self, text: str, style: str = "") -> None:
        for line in text.splitlines():
            self.console.print(f"    {line}", highlight=False, markup=False, style=style)

    def summary(self) -> None:
        table = Table("step", "seconds", box=None, pad_edge=False, header_style="bold")
        table.columns[1].justify = "right"
        for text, seconds in self.times:
            table.add_row(text, f"{seconds:.1f}")
        table.add_row("[bold]all[/bold]", f"[bold]{sum(seconds for _, seconds in self.times):.1f}[/bold]")
        self.console.print()
        self.console.print(table)


def wait_for(what: str, look: Callable[[], T | None], pause: float = 0.3, patience: float = PATIENCE) -> T:
    """The first answer of `look` that is something. DemoError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise DemoError(f"{what}: nothing came of it in {patience:.0f} seconds.")
        time.sleep(pause)
    return found


class Server:
    """`isthmus serve` with the demo's state, on a free port."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""

    def start(self) -> None:
        """DemoError if it does not answer."""
        command = [str(BIN / "isthmus"), "serve", "--cloud", "local", "--state", str(STATE), "--listen", "127.0.0.1:0"]
        if setpriv := shutil.which("setpriv"):  # it shall not outlive a demo that is killed
            command = [setpriv, "--pdeathsig", "TERM", *command]
        with LOG.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=plain_environment(),
                start_new_session=True,
            )
        self.endpoint = wait_for("The start of isthmus serve", self._listening, pause=0.05, patience=60)

    def _listening(self) -> str | None:
        self.check()
        found = re.search(rb"listens on (http://\S+)", LOG.read_bytes())
        return found.group(1).decode() if found else None

    def check(self) -> None:
        """DemoError if it has ended."""
        if self._process and (code := self._process.poll()) is not None:
            raise DemoError(f"isthmus serve has ended with exit code {code}.")

    def health(self) -> Mapping[str, Any]:
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.endpoint}/health", timeout=30) as answer:
            found: Mapping[str, Any] = json.load(answer)
            return found

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(40)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def plain_environment(**more: str) -> dict[str, str]:
    """Without what would point our programs elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ISTHMUS_"))}
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")), "127.0.0.1")))
    return {**kept, "NO_PROXY": direct, "no_proxy": direct, **more}


def aws_settings() -> dict[str, str]:
    return {
        "AWS_CONFIG_FILE": str(STATE / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(STATE / "aws" / "credentials"),
    }


class Demo:
    """The steps, in order; each knows what those before it have made."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.server = Server()
        self.group = self.image = self.instance = self.allocation = self.address = ""
        self.visitor = self.visitor_group = self.private = ""
        self.console_text = ""
        self.port = 0

    def aws(self, *words: str, quiet: bool = False) -> str:
        """What `aws ec2 ...` prints. DemoError with its own words if it does not succeed."""
        if not quiet:
            self.story.show(f"$ aws ec2 {shlex.join(words)}", style="cyan")
        done = subprocess.run(
            [str(AWS), "ec2", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=plain_environment(**aws_settings(), AWS_PAGER="", AWS_EC2_METADATA_DISABLED="true", LC_ALL="C.UTF-8"),
        )
        if done.returncode:
            self.server.check()
            raise DemoError(f"aws ec2 {words[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    def tell(self) -> None:
        """The whole of it, up to a machine that has been logged into."""
        step = self.story.step
        with step("Build the tiny guest image (kept for the next time)"):
            build_image(self.story)
        with step("Start Isthmus over the embedded cloud"):
            self.server.start()
            self.story.show(f"It listens on {self.server.endpoint}")
        with step("Create a key pair"):
            self.create_key()
        with step("Create a security group that lets ssh in"):
            self.create_group()
        with step("Launch an instance with a user-data script"):
            self.launch()
        with step("Wait until it runs"):
            wait_for("The launch", self.running)
            self.story.show(f"QEMU runs it {accelerator(self.server.health())}")
        with step("Wait for what its user-data prints on the console"):
            wait_for("The boot", self.greeted)
            self.story.show(self.greeting(), style="bold")
        with step("Give it a public address"):
            self.give_address()
        with step("Log into it with ssh"):
            self.log_in()
        details = self.server.health()["clouds"]["local"]["details"]
        if details["network"] != "namespaces":
            self.story.show(f"No second instance, as {details['isolation']}: {details['network_reason']}.")
            return
        with step("Launch a second instance, which looks for the first one's ssh"):
            self.launch_visitor()
        with step("Wait until it says that it is kept out"):
            wait_for("The second instance's look", lambda: self.visitor_finds("nothing"))
        with step("Let its security group in"):
            self.let_in()
        with step("Wait until it says that it gets through"):
            wait_for("The second instance's way", lambda: self.visitor_finds("SSH"))

    def create_key(self) -> None:
        words = ("--key-name", "demo", "--key-type", "ed25519", "--query", "KeyMaterial", "--output", "text")
        material = self.aws("create-key-pair", *words)
        with os.fdopen(os.open(KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(material + "\n")

    def create_group(self) -> None:
        self.group = self.new_group("demo", "ssh from this host")
        rule = ("--protocol", "tcp", "--port", "22", "--cidr", "127.0.0.1/32")
        self.aws("authorize-security-group-ingress", "--group-id", self.group, *rule)

    def new_group(self, name: str, description: str) -> str:
        words = ("--group-name", name, "--description", description, "--query", "GroupId", "--output", "text")
        return self.aws("create-security-group", *words)

    def launch(self) -> None:
        wanted = ("--filters", "Name=name,Values=isthmus-tiny", "--query", "Images[0].ImageId", "--output", "text")
        self.image = self.aws("describe-images", *wanted)
        USER_DATA.write_text(SCRIPT)
        self.instance, self.private = self.run_instance("demo", self.group, USER_DATA)

    def run_instance(self, name: str, group: str, user_data: Path) -> list[str]:
        """The new instance's id and private address."""
        what = ("--image-id", self.image, "--instance-type", "t2.nano", "--key-name", "demo")
        how = ("--security-group-ids", group, "--user-data", f"file://{user_data}")
        tag = ("--tag-specifications", f"ResourceType=instance,Tags=[{{Key=Name,Value={name}}}]")
        told = ("--query", "Instances[0].[InstanceId,PrivateIpAddress]", "--output", "text")
        return self.aws("run-instances", *what, *how, *tag, *told).split()

    def launch_visitor(self) -> None:
        VISITOR_DATA.write_text(VISITOR.format(address=self.private))
        self.visitor_group = self.new_group("visitor", "who is let in by name")
        self.visitor, _ = self.run_instance("visitor", self.visitor_group, VISITOR_DATA)

    def visitor_finds(self, what: str) -> bool | None:
        """Whether the second instance has said so last."""
        words = ("--query", "Output", "--output", "text")
        console = self.aws("get-console-output", "--instance-id", self.visitor, *words, quiet=True)
        said = [line.strip() for line in console.splitlines() if line.startswith(f"At {self.private}")]
        if not said or not said[-1].endswith(f"{what}."):
            return None
        self.story.show(said[-1], style="bold")
        return True

    def let_in(self) -> None:
        rule = ("--protocol", "tcp", "--port", "22", "--source-group", self.visitor_group)
        self.aws("authorize-security-group-ingress", "--group-id", self.group, *rule)

    def state(self, instance: str) -> str:
        words = ("--query", "Reservations[0].Instances[0].State.Name", "--output", "text")
        return self.aws("describe-instances", "--instance-ids", instance, *words, quiet=True)

    def terminated(self, instance: str) -> bool | None:
        return True if self.state(instance) == "terminated" else None

    def running(self) -> bool | None:
        state = self.state(self.instance)
        self.story.detail(f"{self.instance} is {state}")
        if state not in ("pending", "running"):
            raise DemoError(f"The instance is {state}.")
        return True if state == "running" else None

    def greeted(self) -> bool | None:
        words = ("--query", "Output", "--output", "text")
        self.console_text = self.aws("get-console-output", "--instance-id", self.instance, *words, quiet=True)
        last = next((line for line in reversed(self.console_text.splitlines()) if line.strip()), "")
        self.story.detail(last.strip() and f"the console says: {last.strip()}")
        return True if self.greeting() and "tiny: ready" in self.console_text else None

    def greeting(self) -> str:
        """The line that user-data printed, if it names the right instance."""
        wanted = f"{MARK} {self.instance}"
        return next((line.strip() for line in self.console_text.splitlines() if line.startswith(wanted)), "")

    def give_address(self) -> None:
        words = ("--query", "[AllocationId,PublicIp]", "--output", "text")
        self.allocation, self.address = self.aws("allocate-address", *words).split()
        self.aws("associate-address", "--allocation-id", self.allocation, "--instance-id", self.instance)

    def log_in(self) -> None:
        """By the key pair's key, to the host key whose fingerprint the console showed."""
        fingerprint = re.search(r"SHA256:[A-Za-z0-9+/]{43}", self.console_text)
        if not fingerprint:
            raise DemoError("The console does not show the fingerprint of the instance's host key.")
        self.port = wait_for("The way to the instance's port 22", lambda: self.way_in(fingerprint.group()), patience=30)
        command = [*self.ssh(), "uname", "-a"]
        self.story.show(f"$ {shlex.join(command)}", style="cyan")
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode:
            raise DemoError(f"ssh failed: {done.stderr.strip()}")
        self.story.show(done.stdout, style="bold")

    def ssh(self) -> list[str]:
        files = ("-i", str(KEY), "-o", f"UserKnownHostsFile={KNOWN_HOSTS}")
        strict = ("-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes")
        return ["ssh", *files, *strict, "-p", str(self.port), f"ec2-user@{self.address}"]

    def way_in(self, fingerprint: str) -> int | None:
        """The port of the address behind which is the instance, and not a server of this host itself."""
        for port in (22, 22 + LIFT):
            if not listening(self.address, port):
                continue
            scan = ["ssh-keyscan", "-T", "5", "-t", "ed25519", "-p", str(port), self.address]
            keys = subprocess.run(scan, capture_output=True, text=True, timeout=30, check=False).stdout
            shown = subprocess.run(
                ["ssh-keygen", "-lf", "-"], input=keys, capture_output=True, text=True, timeout=30, check=False
            )
            if fingerprint in shown.stdout:
                KNOWN_HOSTS.write_text(keys)
                return port
        if taken := [reason for reason in self.server.health()["degraded"] if self.address in reason]:
            raise DemoError(f"{taken[0]}. Is there a server on this port of all addresses of this host, such as sshd?")
        return None

    def how_to_go_on(self) -> None:
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in aws_settings().items())
        self.story.console.print("\n[bold]It is yours now.[/bold] In another terminal:", highlight=False)
        self.story.show(f"export {settings}", style="cyan")
        self.story.show(f"{shlex.quote(str(AWS))} ec2 describe-instances --output table", style="cyan")
        self.story.show(shlex.join(self.ssh()), style="cyan")
        self.story.console.print("Ctrl-C terminates the instance and ends Isthmus.", highlight=False)

    def serve_on(self) -> None:
        while True:
            self.server.check()
            time.sleep(0.5)

    def clean_up(self) -> None:
        """Give back what was made, by the API as far as that works."""
        if instances := list(filter(None, (self.instance, self.visitor))):
            self.story.detail(f"terminating {', '.join(instances)}")
            self.aws("terminate-instances", "--instance-ids", *instances, quiet=True)
            for instance in instances:
                wait_for("The termination", partial(self.terminated, instance))
        if self.allocation:
            self.aws("release-address", "--allocation-id", self.allocation, quiet=True)
        for group in filter(None, (self.group, self.visitor_group)):  # the first names the second in a rule
            self.aws("delete-security-group", "--group-id", group, quiet=True)
        if KEY.exists():
            self.aws("delete-key-pair", "--key-name", "demo", quiet=True)
        if left := machines():
            raise DemoError(f"Machines are left over: {sorted(left)}.")


def build_image(story: Story) -> None:
    """DemoError with the builder's own words if it cannot be built."""
    command = [str(BIN / "isthmus"), "image", "build"]
    with LOG.open("wb") as said:
        builder = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=plain_environment(), start_new_session=True
        )
        try:
            while builder.poll() is None:
                story.detail(last_line())
                time.sleep(0.5)
        finally:
            if builder.poll() is None:
                builder.send_signal(signal.SIGINT)  # it then removes what it has begun
                builder.wait()
    if builder.returncode:
        raise DemoError(last_line())


def last_line() -> str:
    lines = LOG.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), "")


def accelerator(health: Mapping[str, Any]) -> str:
    """On what the machine really runs, and why."""
    details = health["clouds"]["local"]["details"]
    way = {"kvm": "with KVM", "tcg": "without KVM, in software"}.get(details.get("accelerator"), "")
    return f"{way} ({details.get('accelerator_reason', '')})"


def listening(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False


def machines() -> set[int]:
    """The QEMU processes of the demo's cloud."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            program, _, rest = file.read_bytes().partition(b"\0")
            if b"qemu-system" in program and os.fsencode(STATE / "local") in rest:
                found.add(int(file.parent.name))
    return found


def sweep() -> None:
    """Remove what a demo has left that could not clean up after itself."""
    if STATE.exists():
        command = [str(BIN / "isthmus"), "cloud", "clean", "local", "--all", "--yes", "--state", str(STATE)]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, env=plain_environment())
    for pid in machines():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for path in (STATE, LOG, KEY, KNOWN_HOSTS, USER_DATA, VISITOR_DATA):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def alone() -> Iterator[None]:
    """DemoError if another demo of this user is running."""
    HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"Another demo is running (it holds {HOME / 'lock'}).") from None
        yield


def interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def perform(demo: Demo, once: bool) -> int:
    """The exit code: 0 if all was well, also when it was ended by Ctrl-C after that."""
    story, code = demo.story, 1
    try:
        demo.tell()
        code = 0
        story.summary()
        if not once:
            demo.how_to_go_on()
            demo.serve_on()
    except KeyboardInterrupt:
        story.console.print("\nInterrupted." if code else "\nEnding.")
    except (DemoError, OSError, subprocess.TimeoutExpired) as error:
        code = 1
        story.console.print(f"\n[red]FAILED[/red]  {escape(str(error))}", highlight=False)
        show_log(story)
    try:
        with story.step("Clean up"):
            demo.clean_up()
    except (KeyboardInterrupt, DemoError, OSError, subprocess.TimeoutExpired) as error:
        code = code or 1
        story.console.print(f"The rest is removed by force: {error or 'interrupted'}", highlight=False, markup=False)
    return code


def show_log(story: Story) -> None:
    with suppress(OSError):
        story.console.print("The end of the log:")
        story.show("\n".join(LOG.read_text(errors="replace").splitlines()[-30:]), style="dim")


def main(arguments: list[str]) -> int:
    story = Story(Console(soft_wrap=True))
    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGHUP, interrupted)
    demo = Demo(story)
    try:
        with alone():
            sweep()
            try:
                return perform(demo, "--once" in arguments)
            finally:
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)
                demo.server.stop()
                sweep()
    except DemoError as error:
        story.console.print(f"[red]FAILED[/red]  {escape(str(error))}", highlight=False)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
