"""Every parameter of a served action is honoured, refused, or said to change nothing: none is silently dropped."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

import pytest

from isthmus.aws.front import SERVICES
from isthmus.aws.service import Action, Service

GENERIC = {"DryRun", "ClientToken", "TagSpecifications"}
"""What aws/service.py does for every action."""
OF_LISTINGS = {"Filter", "Filters", "MaxResults", "NextToken"}


def _served() -> Iterator[tuple[Service, Action]]:
    return ((service, action) for service in SERVICES.values() for action in service.actions.values())


def _parameters(service: Service, action: Action) -> set[str]:
    shape = service.codec.operations[action.name].input
    return set(shape.members) - GENERIC - (OF_LISTINGS if action.listing else set()) if shape else set()


def _mentioned(action: Action) -> set[str]:
    """The words of the action's family and of those it is built on."""
    family = sys.modules[action.run.__module__]
    helpers = {value.__module__ for value in vars(family).values() if hasattr(value, "__module__")}
    known = [name for name in {family.__name__, *helpers} if str(name).startswith("isthmus.aws.ec2")]
    return {word for name in known for word in re.findall(r"\w+", inspect.getsource(sys.modules[name]))}


@pytest.mark.parametrize(("service", "action"), [pytest.param(*one, id=one[1].name) for one in _served()])
def test_no_parameter_is_ignored(service, action):
    ignored = _parameters(service, action) - _mentioned(action) - set(action.refuses)

    assert not ignored


@pytest.mark.parametrize(("service", "action"), [pytest.param(*one, id=one[1].name) for one in _served()])
def test_what_is_refused_is_a_parameter(service, action):
    shape = service.codec.operations[action.name].input

    assert set(action.refuses) <= set(shape.members if shape else ())
