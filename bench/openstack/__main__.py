"""python -m bench.openstack [--quick] [--json FILE] [--write]: Isthmus over a real OpenStack, and without it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench import report, servers
from bench.calls import Trace
from bench.figures import Figure, Report
from bench.machine import machine
from bench.openstack import measures, page
from bench.openstack.cloud import CLOUDS_YAML, AbsentError, Project, connection, project
from bench.openstack.measures import Effort, Field, Gateway
from bench.openstack.peer import NoPeerError, ec2_api
from bench.openstack.replay import Call
from bench.requests import Caller
from bench.wire import AnswerError

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "bench"
PAGE = ROOT / "docs" / "benchmarks.md"
SERVERS = ("isthmus", "own", "fetch", "direct", "slowest", "ec2-api")
_SETTINGS = """[clouds.private]
kind = "openstack"
zones = {{ us-east-1a = "nova" }}
cloud = "{login}"
clouds_yaml = "{file}"
credentials = "{credentials}"
"""

log = Console(stderr=True)


def main() -> int:
    given = _arguments()
    effort = measures.QUICK if given.quick else measures.FULL
    CACHE.mkdir(parents=True, exist_ok=True)
    found = Report(machine(), given.quick)
    with tempfile.TemporaryDirectory(prefix="openstack-", dir=CACHE) as scratch, ExitStack() as up:
        try:
            own = up.enter_context(project())
        except AbsentError as reason:
            log.print(f"NOT MEASURED: {reason}", markup=False, soft_wrap=True)
            return 0
        field = _field(up, effort, Path(scratch), own)
        try:
            field = _with_peer(up, field, Path(scratch))
        except NoPeerError as reason:
            found.left_out["ec2-api"] = str(reason)
        try:
            measure(found, field, set(given.only))
        except KeyboardInterrupt:
            found.left_out["the rest"] = "it was interrupted"
    report.show(found, Console(width=None if sys.stdout.isatty() else 200), SERVERS)
    if given.write:
        page.write(PAGE, found, SERVERS, effort.rounds, effort.cycles)
    target = given.json or CACHE / "openstack.json"
    target.write_text(report.as_json(found))
    log.print(f"\nAll rounds are in {target}")
    for line in found.missed():
        log.print(f"missed: {line}", markup=False, soft_wrap=True)
    return 0


def measure(found: Report, field: Field, only: set[str]) -> None:
    def step(name: str, figures: Callable[[], Iterable[Figure]]) -> None:
        """What cannot be measured, as the cloud was too slow for it or refused it, is left out with the reason."""
        if only and name not in only:
            return
        try:
            for one in figures():
                found.add(one)
                log.print(f"measured: {one.name}: {one['isthmus']:.3g} {one.unit}", markup=False)
        except (AnswerError, TimeoutError) as wrong:
            found.left_out[name] = " ".join(str(wrong).split())[-300:]

    def reads() -> Iterator[Figure]:
        yield measures.described(field, "DescribeInstances of one, by its id", field.first())
        for count in field.effort.crowds:
            field.grow(count)
            yield measures.described(field, f"DescribeInstances of {count}")

    step("launches", lambda: measures.cycles(field))
    field.project.empty()
    step("reads", reads)


def _field(up: ExitStack, effort: Effort, scratch: Path, own: Project) -> Field:
    trace = scratch / "calls"
    traced = ("bench.openstack.traced", str(trace))
    validating = up.enter_context(
        servers.isthmus(scratch / "isthmus", settings=_settings("gateway", "validate"), module=traced)
    )
    fetching = up.enter_context(servers.isthmus(scratch / "fetch", settings=_settings("admin", "fetch")))
    gateways = {"isthmus": validating.endpoint, "fetch": fetching.endpoint}
    return Field(
        effort=effort,
        project=own,
        service=connection("gateway").session,
        gateways={name: Gateway(Caller(endpoint, own.access, own.secret)) for name, endpoint in gateways.items()},
        trace=Trace(trace, Call),
    )


def _with_peer(up: ExitStack, field: Field, scratch: Path) -> Field:
    """The same with ec2-api, and a VPC that was made by it. Raises NoPeerError."""
    endpoint = up.enter_context(ec2_api(CACHE, scratch, field.service))
    peer = Gateway(Caller(endpoint, field.project.access, field.project.secret))
    vpc = peer.made("CreateVpc", "vpcId", CidrBlock="10.78.0.0/16")
    subnet = peer.made("CreateSubnet", "subnetId", VpcId=vpc, CidrBlock="10.78.0.0/16")
    return replace(field, gateways={**field.gateways, "ec2-api": replace(peer, subnet=subnet)})


def _settings(login: str, credentials: str) -> str:
    return _SETTINGS.format(login=login, file=CLOUDS_YAML, credentials=credentials)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.openstack", description=__doc__)
    parser.add_argument("--quick", action="store_true", default=os.environ.get("BENCH") == "quick")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, with all rounds")
    parser.add_argument("--write", action="store_true", help=f"write the section of {PAGE.relative_to(ROOT)}")
    parser.add_argument("only", nargs="*", metavar="WHAT", help="launches reads")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
