"""python -m bench.cloudstack [--quick] [--delay MS] [--json FILE] [--write]: Isthmus over the tests' emulator of
CloudStack, against the very same calls made directly. PYTHONPATH has to name the tests."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from emulators.cloudstack.world import Account
from rich.console import Console

from bench import report, sections, servers
from bench.calls import Trace
from bench.cloudstack import measures
from bench.cloudstack.measures import Call, Direct, Field
from bench.figures import Report
from bench.machine import machine
from bench.requests import Caller
from isthmus import config, opening
from isthmus.store import Store

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"
SERVERS = ("isthmus", "own", "direct")
HEADING = "## Over CloudStack"
_QUICK, _FULL = 5, 21
_SETTINGS = """[clouds.stack]
kind = "cloudstack"
url = "{url}"
zones = {{ us-east-1a = "zone-1" }}
security_groups = true
"""
_SECTION = f"""{HEADING}

Measured by `make bench-cloudstack` ({{when}}), over the tests' emulator, each of whose answers is held back for
{{delay:g}} ms, as there is no real CloudStack here; all of it on the same {{cores}} cores, load before: {{load}}.
`make bench-cloudstack ARGS=--write` makes this section.

{{table}}

{{notes}}

- *own* is the part of Isthmus' time in which it waited for no answer of CloudStack's.
- *direct* are the very calls that Isthmus made, made again by the library `cs` in the same order, over connections that
  are kept. Those that overlapped are made at the same time: of many launches even such as have to wait for another.
- They take turns, {{rounds}} rounds; figures are medians.
- ec2stack, CloudStack's gateway of old, is not measured: it is written for Python 2, which is not to be had any more.
"""

log = Console(stderr=True)


def main() -> int:
    given = _arguments()
    CACHE.mkdir(parents=True, exist_ok=True)
    found = Report(machine(), given.quick)
    with tempfile.TemporaryDirectory(prefix="cloudstack-", dir=CACHE) as scratch, ExitStack() as up:
        field = _field(up, Path(scratch), given.delay / 1000, _QUICK if given.quick else _FULL)
        [first] = field.launch(1)
        found.add(measures.described(field, "DescribeInstances of one, by its id", InstanceId__1=first))
        for _ in range((measures.CROWD - 1) // measures.MANY + 1):
            there = field.ask("DescribeInstances").count(b"<instanceId>")
            if there < measures.CROWD:
                field.launch(min(measures.MANY, measures.CROWD - there))
        found.add(measures.described(field, f"DescribeInstances of {measures.CROWD}"))
        for count in (1, measures.MANY):
            found.add(measures.launched(field, count))
    report.show(found, Console(width=None if sys.stdout.isatty() else 200), SERVERS)
    if given.write:
        sections.write(PAGE, HEADING, _section(found, given.delay, field.rounds))
    target = given.json or CACHE / "cloudstack.json"
    target.write_text(report.as_json(found))
    log.print(f"\nAll rounds are in {target}")
    return 0


def _field(up: ExitStack, scratch: Path, delay: float, rounds: int) -> Field:
    """An emulator and an Isthmus, in a process each; the account's own keys are kept, and sign."""
    account = Account(str(uuid4()), str(uuid4()), "bench", "User", f"api-{uuid4().hex}", f"secret-{uuid4().hex}")
    command = [sys.executable, "-m", "bench.cloudstack.emulated", str(delay), json.dumps(asdict(account))]
    stack = up.enter_context(servers.running(command, scratch / "emulated.log"))
    state, trace = scratch / "isthmus", scratch / "calls"
    settings = _SETTINGS.format(url=stack.endpoint)
    traced = ("bench.cloudstack.traced", str(trace))
    gateway = up.enter_context(servers.isthmus(state, settings=settings, module=traced))
    _keep(state, account)
    caller = Caller(gateway.endpoint, account.api, account.secret)
    return Field(rounds, caller, Trace(trace, Call), Direct(stack.endpoint, account.api, account.secret))


def _keep(state: Path, account: Account) -> None:
    known = config.load(flags={"state": str(state)}, environ={})
    store = Store.open(known.store_url, opening.master_key(known))
    try:
        owner = store.create_account(account.name).id
        store.keep_login(
            owner, "stack", account.id, account.api, {"api_key": account.api, "secret_key": account.secret}
        )
        store.import_credential(owner, account.api, account.secret)
    finally:
        store.close()


def _section(found: Report, delay: float, rounds: int) -> str:
    return _SECTION.format(
        when=found.machine["date"],
        cores=found.machine["cores"],
        load=found.machine["load before"],
        delay=delay,
        table=report.table(found, SERVERS),
        notes=report.notes(found),
        rounds=rounds,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.cloudstack", description=__doc__)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH") == "quick")
    parser.add_argument("--delay", type=float, default=30, metavar="MS", help="how long each answer is held back")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, with all rounds")
    parser.add_argument("--write", action="store_true", help=f"write the section of {PAGE.relative_to(ROOT)}")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
