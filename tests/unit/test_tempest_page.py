"""docs/tempest.md: what each section lists, and what it says passes, are the whole suite together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_PAGE = (Path(__file__).parents[2] / "docs" / "tempest.md").read_text("utf-8")
_SECTIONS = dict(re.findall(r"^## On `([^`]+)`\n(.*?)(?=^## |\Z)", _PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("cloud", _SECTIONS)
def test_a_section_lists_all_that_does_not_pass(cloud: str) -> None:
    [(passing, whole)] = re.findall(r"(\d+) of (\d+) pass", _SECTIONS[cloud])
    listed = re.findall(r"^- `\S+`$", _SECTIONS[cloud], re.MULTILINE)
    assert int(passing) + len(listed) == int(whole)
