"""The docs tell the truth where a machine can check it: links, commands, defaults, which clients are tested."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from isthmus.aws.ec2 import faults
from isthmus.cli import app
from isthmus.context import Limits
from isthmus.quotas import QUOTAS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCRIPTS = [ROOT / ".ci" / "run", *sorted(path for path in (ROOT / "scripts").iterdir() if not path.suffix)]
COMMANDS = typer.main.get_command(app)
CLIENT_TESTS = {
    "AWS CLI": "test_aws_cli.py",
    "boto3": "test_boto3.py",
    "boto 2": "test_boto2.py",
    "Apache Libcloud": "test_libcloud.py",
    "Terraform": "test_terraform.py",
    "Packer": "test_packer.py",
    "Ansible": "test_ansible.py",
    "euca2ools": "test_euca2ools.py",
    "fog": "test_fog.py",
}

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:^|[`(] ?)isthmus ((?:[a-z][a-z0-9-]* ?){1,2})", re.MULTILINE)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _prose(page: Path) -> str:
    """A page without its snippets."""
    return _FENCE.sub("", page.read_text("utf-8"))


def _anchors(page: Path) -> set[str]:
    """What its headings are called in links."""
    titles = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _links(page: Path) -> list[tuple[Path, str]]:
    """The files of ours that a page links to, each with its anchor."""
    found = [link for link in _LINK.findall(_prose(page)) if "://" not in link]
    parts = [link.partition("#") for link in found]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in parts]


@pages
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = [
        f"{target}#{anchor}"
        for target, anchor in _links(page)
        if not target.exists() or (anchor and anchor not in _anchors(target))
    ]
    assert broken == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            waiting += [target for target, _ in _links(page)]
    assert set(PAGES) - reached == set()


@pages
def test_every_make_target_that_is_named_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE))
    assert named - targets == set()


@pages
def test_every_command_that_is_named_is_there(page: Path) -> None:
    named = {words.strip() for words in _COMMAND.findall(page.read_text("utf-8"))}
    assert {words for words in named if not _is_command(words.split())} == set()


def _is_command(words: list[str]) -> bool:
    command: Any = COMMANDS
    for word in words:
        if not (group := getattr(command, "commands", None)):
            break  # what follows are arguments
        command = group.get(word)
    return command is not None


@pages
def test_the_python_in_the_docs_can_be_read(page: Path) -> None:
    for _, language, code in _FENCE.findall(page.read_text("utf-8")):
        if language == "python":
            ast.parse(code)


def test_the_action_that_contributors_are_shown_is_the_one_that_is_served() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    shown = [code for _, language, code in _FENCE.findall(page) if language == "python"]
    sources = ("src/isthmus/aws/ec2/addresses.py", "tests/api/test_addresses.py")
    assert len(shown) == len(sources)
    for code, source in zip(shown, sources, strict=True):
        assert source in page
        assert code in (ROOT / source).read_text("utf-8")


def test_decisions_are_numbered_and_listed() -> None:
    directory = ROOT / "docs" / "decisions"
    records = sorted(path.name for path in directory.glob("0*.md"))
    assert [int(name[:4]) for name in records] == list(range(1, len(records) + 1))
    assert [target.name for target, _ in _links(directory / "index.md")] == records
    assert [f"# {int(name[:4])}. " for name in records] == [
        (directory / name).read_text("utf-8")[: len(f"# {int(name[:4])}. ")] for name in records
    ]


@pytest.mark.parametrize("client", CLIENT_TESTS)
def test_a_client_is_called_tested_if_it_is(client: str) -> None:
    tested = (ROOT / "tests" / "clients" / CLIENT_TESTS[client]).exists()
    [row] = [row for row in (ROOT / "README.md").read_text("utf-8").splitlines() if row.startswith(f"| {client}")]
    _, _, page = (ROOT / "docs" / "clients" / "index.md").read_text("utf-8").partition(f"\n## {client}")
    section = page.partition("\n## ")[0]
    assert section, f"there is no section on {client}"
    assert row.rstrip(" |").rpartition("| ")[2].startswith("yes" if tested else "not yet")
    assert ("Not tested yet" not in section) == tested


def test_the_limits_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    limits = Limits()
    for said in (
        f"at most {limits.max_list:,} items",
        f"at most {limits.max_body >> 20} MiB",
        f"{limits.terminated_visible.total_seconds() / 60:.0f} minutes",
    ):
        assert said in page


def test_every_quota_is_in_the_table_with_its_code() -> None:
    page = (ROOT / "docs" / "limits.md").read_text("utf-8")
    rows = [
        f"| `{name}` | {one.most:,} | {one.what} | {one.per} | `{faults.QUOTA.get(one.kind, faults.ANY_QUOTA)}` |"
        for name, one in QUOTAS.items()
    ]
    assert "\n".join(rows) in page, "\n" + "\n".join(rows)
    assert set(faults.QUOTA) - {"tag", "cpu"} == {one.kind for one in QUOTAS.values()} & set(faults.QUOTA)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_executable_and_can_be_read_by_bash(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], capture_output=True, check=False).returncode == 0
