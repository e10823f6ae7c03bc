"""Runs OpenStack's suite of EC2 tests: each class in one of several processes, which have an account each."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from served import REGION, Account, clean_environment, client

HOME = Path(sys.prefix) / "tempest"
PYTHON = HOME / "bin" / "python"
_PAGE = Path(__file__).parents[1] / "docs" / "tempest.md"
_NAME = re.compile(r"^- `(\S+)`( at times)?$", re.MULTILINE)
_WORKER = Path(__file__).with_name("tempest_worker.py")
_TOLD = 4000
"""So many bytes of what a class of tests told are shown with those that fell."""
_LONGEST = ("scenario.test_paging.SnapshotPagingTest",)
"""It makes and deletes hundreds of snapshots."""
_SETTINGS = """[DEFAULT]
log_file = {log}
[aws]
ec2_url = {endpoint}
s3_url = {endpoint}
aws_access = {access}
aws_secret = {secret}
aws_region = {region}
aws_zone = {region}a
image_id = {image}
ebs_image_id = {ebs_image}
instance_type = {small}
instance_type_alt = {other}
build_interval = {interval}
build_timeout = {timeout}
run_incompatible_tests = True
run_ssh = False
vpnaas_enabled = True
"""

Outcome = tuple[str, str]
"""`passed`, `failed` or `skipped`, and why."""


@dataclass(frozen=True)
class Machines:
    """What the suite launches: an image, one whose root disk is a volume, and two types."""

    image: str
    ebs_image: str
    small: str = "t3.nano"
    other: str = "t3.micro"
    public: bool = True
    """Whether there are public addresses."""


def judge(cloud: str, found: Mapping[str, Outcome]) -> None:
    """Demands what docs/tempest.md lists for the cloud; what falls `at times` may be either."""
    section = _PAGE.read_text("utf-8").partition(f"\n## On `{cloud}`\n")[2].partition("\n## ")[0]
    lines = _NAME.findall(section)
    listed = [name for name, _ in lines]
    assert len(listed) == len(set(listed)) > 0
    fallen = {name: f"{outcome}: {why}" for name, (outcome, why) in found.items() if outcome != "passed"}
    unlisted = {name: why for name, why in fallen.items() if name not in listed}
    risen = [name for name, at_times in lines if name not in fallen and not (at_times and name in found)]
    surprises = unlisted | dict.fromkeys(risen, "passed, or is not there")
    assert not surprises, "\n\n".join(f"{name} {what}" for name, what in surprises.items())


def every(settings: Path) -> Sequence[str]:
    """The names of all tests of the suite, which cannot be read without its settings."""
    found = subprocess.run([PYTHON, _WORKER, "list"], env=_environment(settings), capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


def run(
    accounts: Mapping[Account, Machines],
    place: Path,
    interval: int,
    longest: Sequence[str] = _LONGEST,
    timeout: int = 120,
) -> Mapping[str, Outcome]:
    """What came of each test; as many classes at a time as there are accounts, those that take longest first.

    Who waits looks again after `interval` seconds, after twice as many then, and so on, up to `timeout`."""
    settings = [
        _settings(account, machines, place / f"{number}.conf", interval=interval, timeout=timeout)
        for number, (account, machines) in enumerate(accounts.items())
    ]
    todo: queue.SimpleQueue[str] = queue.SimpleQueue()
    classes = {name.rpartition(".")[0] for name in every(settings[0])}
    assert set(longest) <= classes
    for case in (*longest, *sorted(classes.difference(longest))):
        todo.put(case)
    found: dict[str, Outcome] = {}
    with ThreadPoolExecutor(len(settings)) as executor:
        for some in executor.map(lambda one: _work(one, todo), settings):
            found |= some
    return found


def _work(settings: Path, todo: queue.SimpleQueue[str]) -> Mapping[str, Outcome]:
    found: dict[str, Outcome] = {}
    errors = settings.with_suffix(".err")
    with subprocess.Popen(
        [PYTHON, _WORKER],
        env=_environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors.open("w"),
        text=True,
        bufsize=1,
    ) as worker:
        assert worker.stdin
        assert worker.stdout
        while not todo.empty():
            try:
                case = todo.get_nowait()
            except queue.Empty:
                break
            before = errors.stat().st_size
            worker.stdin.write(f"{case}\n")
            answer = worker.stdout.readline()
            told = errors.read_bytes()[before:][-_TOLD:].decode(errors="replace")
            assert answer, told
            for name, (outcome, why) in json.loads(answer).items():
                found[name] = outcome, f"{why}\nThe class has told:\n{told}" if outcome == "failed" else why
        worker.stdin.close()
    return found


def _settings(account: Account, machines: Machines, path: Path, **seconds: int) -> Path:
    if machines.public:
        _give_public_addresses(account)
    path.write_text(
        _SETTINGS.format(
            log=path.with_suffix(".log"),
            endpoint=account.endpoint,
            access=account.access_key,
            secret=account.secret,
            region=REGION,
            **seconds,
            **vars(machines),
        )
    )
    return path


def _give_public_addresses(account: Account) -> None:
    """As in an account of AWS, instances in default subnets have public addresses."""
    ec2 = client(account)
    for subnet in ec2.describe_subnets()["Subnets"]:
        if not subnet["MapPublicIpOnLaunch"]:
            ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": True})


def _environment(settings: Path) -> Mapping[str, str]:
    return clean_environment(
        TEST_CONFIG=settings.name,
        TEST_CONFIG_DIR=str(settings.parent),
        AWS_CONFIG_FILE=os.devnull,
        PYTHONWARNINGS="ignore",
    )
