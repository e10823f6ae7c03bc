"""Detailed monitoring of instances, which is on or off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.context import Context
from isthmus.core import instances, servers
from isthmus.core.ids import Kind
from isthmus.errors import Conflict
from isthmus.model import ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import MonitorInstancesRequestTypeDef, UnmonitorInstancesRequestTypeDef

_REFUSES = {"MetricCategoryIds": "All metrics of an instance are monitored, or none."}


@ec2.action("MonitorInstances", refuses=_REFUSES)
def monitor_instances(cx: Context, req: MonitorInstancesRequestTypeDef) -> Mapping[str, Any]:
    return _set(cx, req["InstanceIds"], True, "pending")


@ec2.action("UnmonitorInstances", refuses=_REFUSES)
def unmonitor_instances(cx: Context, req: UnmonitorInstancesRequestTypeDef) -> Mapping[str, Any]:
    return _set(cx, req["InstanceIds"], False, "disabling")


def _set(cx: Context, ids: Sequence[str], wanted: bool, state: str) -> Mapping[str, Any]:
    found = instances.pick(cx, ids)
    for one in found:
        if one.server.state in (ServerState.DELETING, ServerState.DELETED):
            raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is terminated.")
    for one in found:
        servers.change_launch(cx, one, monitored=wanted)
    return {"InstanceMonitorings": [{"InstanceId": one.id, "Monitoring": {"State": state}} for one in found]}
