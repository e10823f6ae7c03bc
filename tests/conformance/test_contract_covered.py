"""Every rule is one test, and every test one rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
CONTRACT = HERE.parents[1] / "docs" / "providers.md"


def test_every_rule_has_exactly_one_test_and_every_test_a_rule() -> None:
    rules = re.findall(r"^\| ([A-Z]\d+) \|", CONTRACT.read_text(), re.MULTILINE)

    assert sorted(rules) == sorted(rules_of_tests())


def rules_of_tests() -> list[str]:
    """The first word of each test's docstring."""
    files = [path for path in HERE.glob("test_*.py") if path != Path(__file__)]
    nodes = (node for path in files for node in ast.parse(path.read_text()).body)
    tests = (node for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))
    return [(ast.get_docstring(test) or test.name).split()[0].rstrip(":.") for test in tests]
