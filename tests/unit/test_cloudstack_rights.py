"""What an operator is told that keys lack is what Isthmus asks of CloudStack: no command more, none forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from emulators.cloudstack.contract import commands

from isthmus.providers.cloudstack import projects, survey

SOURCE = Path(survey.__file__).parent
PARTS = {"authorizeSecurityGroup", "revokeSecurityGroup"}
"""Beginnings of commands of which there is one for each direction."""
OF_ADMINISTRATORS = {*survey.JUDGE, "listUserKeys"}
LISTED = {one for needed in survey.RIGHTS.values() for one in needed}


def _asked() -> Iterator[str]:
    """The commands, and beginnings of them, in the provider's code."""
    for file in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))) if file.name != "survey.py" else ():
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and (text in PARTS or text.lower() in commands()) and re.search("[A-Z]", text):
                yield text


def test_every_command_that_is_asked_is_among_the_rights() -> None:
    asked = set(_asked())

    assert set() == asked - LISTED - OF_ADMINISTRATORS - PARTS
    assert PARTS <= asked


def test_rights_are_commands_of_cloudstack_that_users_have() -> None:
    for name in LISTED:
        command = commands()[name.lower()]
        assert (name, True) == (command.name, "User" in command.roles)
    assert {"getUser"} == {one for one in OF_ADMINISTRATORS if "User" not in commands()[one.lower()].roles}


def test_a_project_is_named_by_all_commands_that_have_to() -> None:
    """What could name it and does not has a reason."""
    exact = {commands()[one.lower()] for one in LISTED}

    assert projects.NAMED | projects.BY_ID | projects.OFFERED == {
        one.name for one in exact if "projectid" in one.params
    }
    assert not projects.NAMED & (projects.BY_ID | projects.OFFERED)


def test_rights_of_the_other_kind_of_zone_do_not_lack() -> None:
    grouped, routed = survey.SeenZone("a", True, True), survey.SeenZone("b", False, True)
    seen = [set(survey.lacking(set(), zones)) for zones in ([grouped], [routed], [grouped, routed])]

    assert set(survey.RIGHTS) - {survey.ROUTED} == seen[0]
    assert set(survey.RIGHTS) - {survey.GROUPED} == seen[1]
    assert set(survey.RIGHTS) == seen[2]
    assert {} == survey.lacking(LISTED, [grouped, routed])
