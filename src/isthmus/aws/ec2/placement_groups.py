"""Placement groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import placements
from isthmus.core.kept import Kept

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreatePlacementGroupRequestTypeDef,
        DeletePlacementGroupRequestTypeDef,
        DescribePlacementGroupsRequestTypeDef,
    )

_STRATEGIES = ("cluster", "spread", "partition")
_LONGEST_NAME = 255
_PARTITIONS = range(1, 8)
_DEFAULT_PARTITIONS = 2


@ec2.action(
    "CreatePlacementGroup",
    makes=["placement-group"],
    refuses={
        "LinkedGroupId": "It is reserved by AWS.",
        "Operator": "There are no managed groups.",
        "ParentGroupId": "Groups have no parents.",
    },
)
def create_placement_group(cx: Context, req: CreatePlacementGroupRequestTypeDef) -> Mapping[str, Any]:
    name, strategy = req.get("GroupName", ""), req.get("Strategy", "cluster")
    if not name:
        raise AwsError("MissingParameter", "The request must contain the parameter groupName")
    if len(name) > _LONGEST_NAME or not name.isascii():
        raise AwsError("InvalidParameterValue", f"A group's name has at most {_LONGEST_NAME} ASCII characters.")
    if strategy == "precision-time":
        raise AwsError("UnsupportedOperation", "There are no hosts with precise clocks.")
    if strategy not in _STRATEGIES:
        raise AwsError("InvalidParameterValue", f"Value ({strategy}) for parameter strategy is invalid.")
    data = {
        "name": name,
        "strategy": strategy,
        "partitions": _partitions(req, strategy),
        "level": _level(req, strategy),
    }
    return {"PlacementGroup": render(cx, placements.create(cx, data, cx.tags.get("placement-group", {})))}


@ec2.action("DeletePlacementGroup")
def delete_placement_group(cx: Context, req: DeletePlacementGroupRequestTypeDef) -> Mapping[str, Any]:
    placements.delete(cx, req["GroupName"])
    return {}


@ec2.listing("DescribePlacementGroups", key="GroupId")
def describe_placement_groups(cx: Context, req: DescribePlacementGroupsRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    found = placements.find(cx, req.get("GroupIds", ()), req.get("GroupNames", ()))
    return (render(cx, one) for one in found)


def render(cx: Context, group: Kept) -> dict[str, Any]:
    """A PlacementGroup of the model."""
    data = group.data
    said = {
        "GroupName": data["name"],
        "State": "available",
        "Strategy": data["strategy"],
        "GroupId": group.id,
        "Tags": tag_set(group.tags),
        "GroupArn": f"arn:aws:ec2:{cx.world.region}:{cx.account}:placement-group/{data['name']}",
    }
    optional = {"PartitionCount": data["partitions"], "SpreadLevel": data["level"]}
    return {**said, **{name: value for name, value in optional.items() if value}}


def group_of(cx: Context, placement: Mapping[str, Any]) -> str:
    """The id of the group that a launch names by its name or id, or empty. Raises AwsError and NotFound."""
    known, name = placement.get("GroupId"), placement.get("GroupName")
    if known and name:
        raise AwsError(
            "InvalidParameterCombination", "A placement group is named by GroupId or GroupName, not by both."
        )
    if not known and not name:
        return ""
    return placements.find(cx, [known] if known else [], [name] if name else [])[0].id


def _partitions(req: CreatePlacementGroupRequestTypeDef, strategy: str) -> int:
    if strategy != "partition":
        if req.get("PartitionCount"):
            raise AwsError("InvalidParameterCombination", "PartitionCount goes with the strategy partition only.")
        return 0
    count = req.get("PartitionCount", _DEFAULT_PARTITIONS)
    if count not in _PARTITIONS:
        raise AwsError("InvalidParameterValue", f"Value ({count}) for parameter partitionCount is invalid.")
    return count


def _level(req: CreatePlacementGroupRequestTypeDef, strategy: str) -> str:
    level = req.get("SpreadLevel", "")
    if level and strategy != "spread":
        raise AwsError("InvalidParameterCombination", "SpreadLevel goes with the strategy spread only.")
    if level not in ("", "rack"):
        raise AwsError("UnsupportedOperation", "Groups spread over racks; hosts are for Outposts.")
    return "rack" if strategy == "spread" else ""
