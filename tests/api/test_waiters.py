"""Every waiter of boto3: it is content with what is there, and ends at once where there is nothing to wait for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from house import House
from waits import CONTENT, IN_VAIN, UNSERVED, furnish

_ONCE = {"Delay": 0, "MaxAttempts": 1}


@pytest.fixture
def ec2(build: Callable[..., House]) -> Any:
    """The client of a cloud on which nothing takes time."""
    return build(settle=0).client()


def _ends(ec2: Any, name: str, **asked: Any) -> str:
    """The code of the error with which a waiter ends."""
    with pytest.raises(WaiterError) as ended:
        ec2.get_waiter(name).wait(WaiterConfig=_ONCE, **asked)
    return str(ended.value.last_response["Error"]["Code"])


def test_every_waiter_is_told_of(ec2):
    assert {*CONTENT, *IN_VAIN, *UNSERVED} == set(ec2.waiter_names)
    assert len(ec2.waiter_names) == len(CONTENT) + len(IN_VAIN) + len(UNSERVED)


def test_waiters_are_content_with_what_is_there(ec2, image):
    things = furnish(ec2, image)
    for name, (parameter, word) in CONTENT.items():
        ec2.get_waiter(name).wait(WaiterConfig=_ONCE, **{parameter: [things[word]]})


@pytest.mark.parametrize("name", IN_VAIN)
def test_a_waiter_for_what_cannot_be_ends_at_once(ec2, name):
    parameter, known, code = IN_VAIN[name]

    assert _ends(ec2, name, **{parameter: [known] if parameter.endswith("s") else known}) == code


@pytest.mark.parametrize("name", UNSERVED)
def test_a_waiter_of_an_action_that_is_not_served_ends_at_once(ec2, name):
    assert _ends(ec2, name) == "UnsupportedOperation"
