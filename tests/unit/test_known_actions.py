"""What clients are known to call is served, or refused with a reason of its own; and none of it is lost unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.aws import coverage
from isthmus.aws.ec2 import ec2
from isthmus.providers.memory import Memory

TABLE = Path(__file__).with_name("known_actions.tsv")
TIERS = {"1": 36, "2": 61, "3": 71, "4": 30}
"""How many actions each tier has."""
REFUSED = {
    "AllocateHosts",
    "BundleInstance",
    "CancelBundleTask",
    "ConfirmProductInstance",
    "CreateFlowLogs",
    "EnableFastSnapshotRestores",
    "GetConsoleScreenshot",
    "ImportImage",
}
"""Those of the known ones that mean nothing on a private cloud. It only ever becomes smaller."""
FURTHER = 24
"""At least so many are served besides the known ones. It only ever becomes larger."""


def _known() -> dict[str, str]:
    """Action -> tier."""
    lines = [line for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert lines[0].split("\t")[:2] == ["action", "tier"]
    return {action: tier for action, tier, *_ in (line.split("\t") for line in lines[1:])}


KNOWN = _known()


def test_the_table_is_whole():
    tiers = list(KNOWN.values())

    assert {tier: tiers.count(tier) for tier in TIERS} == TIERS
    assert set(KNOWN) <= set(ec2.codec.operations)


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_known_is_served_but_for_what_is_named_here(tier):
    absent = {action for action, its in KNOWN.items() if its == tier and action not in ec2.actions}

    assert absent == {action for action in REFUSED if KNOWN[action] == tier}


def test_what_is_known_and_not_served_is_refused_with_a_reason_of_its_own():
    told = {one.action: one.here.reason for one in coverage.coverage({"memory": Memory("memory")}, "123456789012")}
    unsaid = told["CreateTransitGateway"]

    for action in REFUSED:
        assert told[action] not in ("", unsaid), action
        assert told[action] == ec2.unsupported[action]


def test_no_less_is_served_besides():
    assert len(set(ec2.actions) - set(KNOWN)) >= FURTHER


def test_a_refusal_is_of_an_action_that_there_is_and_that_is_not_served():
    assert set(ec2.unsupported) <= set(ec2.codec.operations)
    assert not set(ec2.unsupported) & set(ec2.actions)


def test_a_reason_is_a_sentence():
    for action, reason in ec2.unsupported.items():
        assert reason[0].isupper(), action
        assert reason.endswith("."), action
