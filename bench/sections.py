"""The sections of the documentation's page on speed that are written one by one."""

from __future__ import annotations

import re
from pathlib import Path

_BEGIN = "## Over "
"""How the headings of all of them begin; they are the last of the page."""


def write(page: Path, heading: str, section: str) -> None:
    """Put one in the place of what it was, or at the end."""
    whole = page.read_text()
    before, _, _ = whole.partition(f"\n{_BEGIN}")
    found = {one.partition("\n")[0]: one.strip() for one in re.split(rf"(?m)^(?={_BEGIN})", kept(page)) if one.strip()}
    found[heading] = section.strip()
    page.write_text("\n\n".join([before.strip(), *found.values()]) + "\n")


def kept(page: Path) -> str:
    """All of them as they are there, for who writes the rest of the page."""
    _, begin, rest = page.read_text().partition(f"\n{_BEGIN}")
    return f"{begin}{rest}"
