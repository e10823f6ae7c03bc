"""What Isthmus must find again in the cloud itself, kept where OpenStack has room for it.

Neutron's things keep it in their description, servers in a tag and in their metadata, volumes, snapshots and images in
theirs. A description that somebody else wrote is left alone and says nothing to us.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

MARK = "isthmus:"
REF = "isthmus:ref"
"""The metadata of volumes and snapshots, and the start of a server's tag, that hold a ref."""


def dump(**notes: str) -> str:
    """A description with these notes; those that are empty are left out."""
    return MARK + json.dumps({name: value for name, value in notes.items() if value}, separators=(",", ":"))


def load(description: str | None) -> Mapping[str, str]:
    """The notes of a description, if they are ours."""
    if not description or not description.startswith(MARK):
        return {}
    try:
        said = json.loads(description.removeprefix(MARK))
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in said.items()} if isinstance(said, dict) else {}


def moment(text: str | None) -> datetime:
    """A time of the services: ISO 8601 with or without a zone, which is UTC then."""
    made = datetime.fromisoformat(text.replace("Z", "+00:00")) if text else datetime.fromtimestamp(0, UTC)
    return made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)
