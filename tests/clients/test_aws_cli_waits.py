"""Every `aws ec2 wait` of the AWS command line: content with what is there, and ended where nothing can come."""

from __future__ import annotations

from pathlib import Path

import pytest
from aws_cli import Aws, CliError, runner
from served import Account, client, tiny_image
from waits import CONTENT, IN_VAIN, UNSERVED, furnish

pytestmark = pytest.mark.clients

SHARDS = 4
"""Each call of the command line takes about a second: several workers share them."""


@pytest.fixture
def aws(quick: Account, tmp_path: Path) -> Aws:
    return runner(quick, tmp_path)


def _wait(aws: Aws, name: str, *words: str) -> None:
    aws("ec2", "wait", _dashed(name), *words)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _option(parameter: str) -> str:
    return "--" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in parameter).lstrip("-")


def test_the_command_line_knows_these_waits(aws: Aws) -> None:
    with pytest.raises(CliError) as asked:
        aws("ec2", "wait", "for-nothing")

    assert [] == [name for name in {*CONTENT, *IN_VAIN, *UNSERVED} if _dashed(name) not in str(asked.value)]


@pytest.mark.parametrize("shard", range(SHARDS))
def test_waits_for_what_is_there_end_well(aws: Aws, quick: Account, shard: int) -> None:
    things = furnish(client(quick), tiny_image(quick))

    for name, (parameter, word) in list(CONTENT.items())[shard::SHARDS]:
        _wait(aws, name, _option(parameter), things[word])


def test_waits_for_what_cannot_be_end_with_the_reason(aws: Aws) -> None:
    for name, (parameter, known, code) in IN_VAIN.items():
        with pytest.raises(CliError, match=rf"\({code}\)"):
            _wait(aws, name, _option(parameter), known)


def test_waits_by_actions_that_are_not_served_end_with_the_reason(aws: Aws) -> None:
    for name in UNSERVED:
        with pytest.raises(CliError, match=r"\(UnsupportedOperation\)"):
            _wait(aws, name)
