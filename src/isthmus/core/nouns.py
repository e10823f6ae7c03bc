"""A server as JSON and back: what is remembered of it when its cloud forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from isthmus.model import Server, ServerState


def dump_server(server: Server) -> dict[str, Any]:
    """All fields in types that JSON has, but for its ports, which go with it."""
    said = asdict(replace(server, ports=()))
    return {**said, "created": server.created.isoformat(), "started": server.started.isoformat()}


def load_server(said: Mapping[str, Any]) -> Server:
    """The server that `dump_server` was given, without ports."""
    times = {name: datetime.fromisoformat(said[name]) for name in ("created", "started")}
    return Server(**{**said, **times, "state": ServerState(said["state"]), "ports": ()})
