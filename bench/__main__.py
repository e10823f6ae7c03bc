"""python -m bench [--quick] [--json FILE] [--write]: all figures in one run. BENCH=quick is the same as --quick."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console

from bench import breadth, guests, measures, process, report, sections, servers
from bench.figures import Figure, Report
from bench.machine import machine
from bench.requests import Caller
from bench.wire import AnswerError

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"
# moto keeps regions apart as it keeps accounts
_REGIONS = {
    "reads": "eu-west-1",
    "thousand": "us-east-1",
    "launches": "us-west-2",
    "groups": "us-east-2",
    "tags": "us-west-1",
}

log = Console(stderr=True)


def main() -> int:
    given = _arguments()
    effort = measures.QUICK if given.quick else measures.FULL
    CACHE.mkdir(parents=True, exist_ok=True)
    found = Report(machine(), given.quick)
    servers.install_moto(CACHE)
    with tempfile.TemporaryDirectory(prefix="run-", dir=CACHE) as scratch:
        ended = _measured(found, effort, Path(scratch), set(given.only))
    report.show(found, Console(width=None if sys.stdout.isatty() else 200))
    target = given.json or CACHE / "results.json"
    target.write_text(report.as_json(found))
    log.print(f"\nAll rounds are in {target}")
    if given.write and ended:
        PAGE.write_text(report.as_page(found, effort.rounds, measures.CONNECTIONS) + sections.kept(PAGE))
    for line in found.missed():
        log.print(f"missed: {line}", markup=False, soft_wrap=True)
    return 0 if ended else 1


def _measured(found: Report, effort: measures.Effort, scratch: Path, only: set[str]) -> bool:
    """Whether all could be measured; if a server answered wrongly, what it has logged is shown."""
    try:
        measure(found, effort, scratch, only)
    except AnswerError as wrong:
        log.print(f"A server answered wrongly: {wrong}", markup=False, soft_wrap=True)
        for file in sorted(scratch.rglob("*.log")):
            log.print(f"\n{file.name}:\n{file.read_text('utf-8', 'replace')[-5000:]}", markup=False, soft_wrap=True)
        return False
    return True


def measure(found: Report, effort: measures.Effort, scratch: Path, only: set[str]) -> None:
    def step(name: str, figures: Callable[[], Figure | Iterable[Figure]]) -> None:
        if only and name not in only:
            return
        with log.status(f"measuring: {name} ..."):
            made = figures()
        for one in (made,) if isinstance(made, Figure) else made:
            found.add(one)

    step("process", lambda: process.start(scratch, CACHE, effort.rounds))
    with ExitStack() as up:
        field = _field(up, effort, scratch)
        step("reads", lambda: measures.small_reads(field))
        step("thousand", lambda: measures.describe_thousand(field))
        step("first", lambda: measures.describe_first(field))
        step("launches", lambda: measures.launches(field))
        step("pages", lambda: measures.pages(field))
        step("interfaces", lambda: breadth.interfaces(field))
        step("groups", lambda: breadth.groups(field))
        step("tags", lambda: breadth.tags(field))
    for name, figure, take in (
        ("guests", guests.LAUNCH, guests.launch_to_user_data),
        ("attach", guests.ATTACH, guests.attach_to_seen),
    ):
        try:
            step(name, partial(take, scratch, max(1, effort.rounds // 2)))
        except guests.LeftOutError as reason:
            found.left_out[figure] = str(reason)


def _field(up: ExitStack, effort: measures.Effort, scratch: Path) -> measures.Field:
    bodies = scratch / "bodies"
    bodies.mkdir()
    ours = up.enter_context(servers.isthmus(scratch / "state", "--cloud", "memory"))
    theirs = up.enter_context(servers.moto(CACHE, scratch))
    bare = up.enter_context(servers.bare(bodies))
    return measures.Field(
        effort=effort,
        isthmus=servers.callers(scratch / "state", ours.endpoint, measures.ACCOUNTS + breadth.ACCOUNTS),
        moto={name: Caller(theirs.endpoint, "key", "secret", region) for name, region in _REGIONS.items()},
        bare=bare.endpoint,
        bodies=bodies,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH") == "quick")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, with all rounds")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument(
        "only",
        nargs="*",
        metavar="WHAT",
        help="process reads thousand first launches pages interfaces groups tags guests attach",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
