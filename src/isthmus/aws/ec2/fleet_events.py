"""What became of an EC2 Fleet: its instances, and its history, told from what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Look
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import fleets, instances, spot
from isthmus.core.fleets import Fleet

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import DescribeFleetHistoryRequestTypeDef, DescribeFleetInstancesRequestTypeDef

Event = Mapping[str, Any]
_FLEET, _INSTANCE, _ERROR = "fleet-change", "instance-change", "service-error"


@ec2.listing("DescribeFleetInstances", key="InstanceId", echoes=("FleetId",))
def describe_fleet_instances(cx: Context, req: DescribeFleetInstancesRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    fleet = fleets.get(cx, req["FleetId"])
    if fleet.kept.data["once"]:
        raise AwsError("UnsupportedOperation", "DescribeFleets tells the instances of an instant fleet, by its id.")
    look = Look(cx)
    for one in fleet.members:
        asked = {"SpotInstanceRequestId": spot.request_id(one.id)} if one.launch.spot else {}
        yield {"InstanceId": one.id, "InstanceType": look.face(one).flavor, "InstanceHealth": "healthy", **asked}


def fold(events: Sequence[Event]) -> Mapping[str, Any]:
    """Events, and the time of the last of them: all until then are told."""
    last = {"LastEvaluatedTime": events[-1]["Timestamp"]} if events else {}
    return {"HistoryRecords": events, **last}


@ec2.listing("DescribeFleetHistory", key=("Timestamp", "EventInformation"), fold=fold, echoes=("FleetId", "StartTime"))
def describe_fleet_history(cx: Context, req: DescribeFleetHistoryRequestTypeDef) -> Iterator[Event]:
    start, kind = req["StartTime"], req.get("EventType")
    for event in _events(cx, fleets.get(cx, req["FleetId"])):
        if event["Timestamp"] >= start and kind in (None, event["EventType"]):
            yield event


def _events(cx: Context, fleet: Fleet) -> Iterator[Event]:
    data, gone = fleet.kept.data, fleet.kept.gone
    yield _event(_FLEET, "submitted", fleet.kept.created)
    for number, step in enumerate(fleet.steps):
        if step["error"]:
            code, message = step["error"]
            yield _event(_ERROR, "spotFleetRequestConfigurationInvalid", step["at"], f"{number}: {code}: {message}")
        for one in step["made"]:
            yield _event(_INSTANCE, "launched", step["at"], instance=one)
            if ended := _ended(cx, one):
                yield _event(_INSTANCE, "terminated", ended, instance=one)
    if data["done"]:
        yield _event(_FLEET, "active", data["done"])
    if gone:
        yield _event(_FLEET, fleet.state, gone)


def _ended(cx: Context, instance: str) -> datetime | None:
    """When an instance was terminated, as long as it is known."""
    found = instances.index(cx).by_id.get(instance)
    return found.record.gone if found and found.record else None


def _event(kind: str, word: str, at: datetime | str, text: str = "", instance: str = "") -> Event:
    """A HistoryRecordEntry of the model."""
    optional = {"EventDescription": text, "InstanceId": instance}
    told = {"EventSubType": word, **{name: value for name, value in optional.items() if value}}
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return {"EventType": kind, "EventInformation": told, "Timestamp": when}
