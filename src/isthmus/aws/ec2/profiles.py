"""Instance profiles: which one an instance is said to have. There is no IAM service to ask whether it exists."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import instances, servers
from isthmus.core.ids import Kind, adopt, mint
from isthmus.core.instance import Instance
from isthmus.errors import Conflict, NotFound
from isthmus.model import ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        AssociateIamInstanceProfileRequestTypeDef,
        DescribeIamInstanceProfileAssociationsRequestTypeDef,
        DisassociateIamInstanceProfileRequestTypeDef,
        ReplaceIamInstanceProfileAssociationRequestTypeDef,
    )

_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_ARN = re.compile(r"arn:aws:iam::(\d{12}):instance-profile/(?:[!-~]{1,510}/)?[\w+=,.@-]{1,128}", re.ASCII)
_GONE = (ServerState.DELETING, ServerState.DELETED)


@ec2.action("AssociateIamInstanceProfile")
def associate_iam_instance_profile(cx: Context, req: AssociateIamInstanceProfileRequestTypeDef) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    arn = arn_of(cx, req["IamInstanceProfile"])
    if not arn:
        raise AwsError("MissingParameter", "The request must contain the parameter IamInstanceProfile.Name or Arn")
    if one.server.state in _GONE:
        raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is terminated.")
    if one.launch.profile:
        raise AwsError("IncorrectState", f"There is an existing association for instance {one.id}")
    return {"IamInstanceProfileAssociation": {**_association(_set(cx, one, arn)), "State": "associating"}}


@ec2.action("ReplaceIamInstanceProfileAssociation")
def replace_iam_instance_profile_association(
    cx: Context, req: ReplaceIamInstanceProfileAssociationRequestTypeDef
) -> Mapping[str, Any]:
    one = _find(cx, req["AssociationId"])
    arn = arn_of(cx, req["IamInstanceProfile"])
    if not arn:
        raise AwsError("MissingParameter", "The request must contain the parameter IamInstanceProfile.Name or Arn")
    return {"IamInstanceProfileAssociation": {**_association(_set(cx, one, arn)), "State": "associating"}}


@ec2.action("DisassociateIamInstanceProfile")
def disassociate_iam_instance_profile(
    cx: Context, req: DisassociateIamInstanceProfileRequestTypeDef
) -> Mapping[str, Any]:
    one = _find(cx, req["AssociationId"])
    said = _association(one)
    servers.change_launch(cx, one, profile="", profile_association="", profile_since="")
    return {"IamInstanceProfileAssociation": {**said, "State": "disassociating"}}


@ec2.listing("DescribeIamInstanceProfileAssociations", key="AssociationId", exclusive="AssociationIds")
def describe_iam_instance_profile_associations(
    cx: Context, req: DescribeIamInstanceProfileAssociationsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    wanted = req.get("AssociationIds")
    found = [_find(cx, one) for one in wanted] if wanted else _having(cx)
    return (_association(one) for one in found)


def arn_of(cx: Context, said: Mapping[str, Any]) -> str:
    """The ARN of a profile told by its name or ARN, empty for none. Raises AwsError for what can be neither."""
    name, arn = said.get("Name", ""), said.get("Arn", "")
    if name and arn:
        message = "The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'"
        raise AwsError("InvalidParameterCombination", message)
    if name:
        if not _NAME.fullmatch(name):
            raise AwsError("InvalidParameterValue", "The name of the IAM instance profile is invalid.")
        return f"arn:aws:iam::{cx.account}:instance-profile/{name}"
    form = _ARN.fullmatch(arn)
    if arn and (form is None or form[1] != cx.account):
        raise AwsError("InvalidParameterValue", "The ARN of the IAM instance profile is invalid.")
    return str(arn)


def profile(arn: str) -> dict[str, str]:
    """An IamInstanceProfile."""
    digest = hashlib.sha256(arn.encode()).hexdigest()
    return {"Arn": arn, "Id": f"AIPA{digest[:17].upper()}"}


def _set(cx: Context, one: Instance, arn: str) -> Instance:
    known = mint(Kind.PROFILE, cx.seed)
    servers.change_launch(cx, one, profile=arn, profile_association=known, profile_since=cx.now().isoformat())
    return instances.pick(cx, [one.id])[0]


def _having(cx: Context) -> Iterator[Instance]:
    return (one for one in instances.find(cx) if one.launch.profile and one.server.state not in _GONE)


def _find(cx: Context, association: str) -> Instance:
    for one in _having(cx):
        if _id(one) == association:
            return one
    raise NotFound(Kind.PROFILE, association)


def _id(one: Instance) -> str:
    """The id of an instance's association: of its own for one that the instance was launched with."""
    return one.launch.profile_association or adopt(Kind.PROFILE, one.cloud, one.server.native)


def _association(one: Instance) -> dict[str, Any]:
    """An IamInstanceProfileAssociation."""
    since = one.launch.profile_since
    return {
        "AssociationId": _id(one),
        "InstanceId": one.id,
        "IamInstanceProfile": profile(one.launch.profile),
        "State": "associated",
        "Timestamp": datetime.fromisoformat(since) if since else one.server.created,
    }
