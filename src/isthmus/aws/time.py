"""Times as AWS's clients write them."""

from __future__ import annotations

from datetime import UTC, datetime


def parse_iso8601(text: str) -> datetime:
    """An aware time in UTC; a time without a zone is in UTC. Raises ValueError."""
    try:
        value = datetime.fromisoformat(text.strip())
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def iso8601(value: datetime) -> str:
    """A time as AWS writes it, in milliseconds; without a zone it is taken as UTC."""
    if value.tzinfo is not UTC:
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value.isoformat(timespec="milliseconds")[:-6] + "Z"
