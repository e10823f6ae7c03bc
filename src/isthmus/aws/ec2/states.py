"""EC2's words and numbers for the states of things. Source: the API reference's data types."""

from __future__ import annotations

from typing import Any

from isthmus.model import ImageState, ServerState, SnapshotState, VolumeState

STATES = {
    ServerState.PENDING: (0, "pending"),
    ServerState.RUNNING: (16, "running"),
    ServerState.DELETING: (32, "shutting-down"),
    ServerState.DELETED: (48, "terminated"),
    ServerState.STOPPING: (64, "stopping"),
    ServerState.STOPPED: (80, "stopped"),
    ServerState.ERROR: (48, "terminated"),
}
VOLUME = {
    VolumeState.CREATING: "creating",
    VolumeState.AVAILABLE: "available",
    VolumeState.IN_USE: "in-use",
    VolumeState.DELETING: "deleting",
    VolumeState.ERROR: "error",
}
SNAPSHOT = {
    SnapshotState.PENDING: "pending",
    SnapshotState.COMPLETED: "completed",
    SnapshotState.ERROR: "error",
}
IMAGE = {
    ImageState.PENDING: "pending",
    ImageState.AVAILABLE: "available",
    ImageState.ERROR: "failed",
}
ROOT_TYPES = {False: "ebs", True: "instance-store"}
"""By whether the root disk is `local`."""


def state(of: ServerState) -> dict[str, Any]:
    """An InstanceState."""
    code, name = STATES[of]
    return {"Code": code, "Name": name}
