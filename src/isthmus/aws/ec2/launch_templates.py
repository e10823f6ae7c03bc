"""Launch templates and their versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.tagging import tag_set, tags_of
from isthmus.context import Context
from isthmus.core import launch_templates as templates
from isthmus.core.kept import Kept
from isthmus.core.launch_templates import Version
from isthmus.errors import Fault, NotFound

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        CreateLaunchTemplateRequestTypeDef,
        CreateLaunchTemplateVersionRequestTypeDef,
        DeleteLaunchTemplateRequestTypeDef,
        DeleteLaunchTemplateVersionsRequestTypeDef,
        DescribeLaunchTemplatesRequestTypeDef,
        DescribeLaunchTemplateVersionsRequestTypeDef,
        ModifyLaunchTemplateRequestTypeDef,
    )

_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
_DESCRIPTION = 255
_MOST_AT_ONCE = 200
_REFUSES = {"Operator": "There are no managed templates."}
TAGGED = ("instance", "volume", "network-interface", "spot-instances-request")
"""What a template may name tags for. Source: the API reference, LaunchTemplateTagSpecificationRequest."""


@ec2.action("CreateLaunchTemplate", makes=["launch-template"], refuses=_REFUSES, longest_token=128)
def create_launch_template(cx: Context, req: CreateLaunchTemplateRequestTypeDef) -> Mapping[str, Any]:
    name = req["LaunchTemplateName"]
    if not _NAME.fullmatch(name):
        message = "Launch template names have 3 to 128 characters: letters, numbers, and ( ) . - / _"
        raise AwsError("InvalidLaunchTemplateName.MalformedException", message)
    tags = cx.tags.get("launch-template", {})
    made = templates.create(cx, name, _description(req), _checked(req["LaunchTemplateData"]), tags)
    return {"LaunchTemplate": render(cx, made)}


@ec2.action("CreateLaunchTemplateVersion", longest_token=128)
def create_launch_template_version(cx: Context, req: CreateLaunchTemplateVersionRequestTypeDef) -> Mapping[str, Any]:
    """ResolveAlias changes nothing: images are named by id alone."""
    template = _one(cx, req)
    data = req["LaunchTemplateData"]
    both = {**_inherited(chosen(cx, template, req["SourceVersion"])), **data} if req.get("SourceVersion") else data
    made = templates.add_version(cx, template, _description(req), _checked(both))
    return {"LaunchTemplateVersion": render_version(cx, made)}


@ec2.listing("DescribeLaunchTemplates", key="LaunchTemplateId")
def describe_launch_templates(cx: Context, req: DescribeLaunchTemplatesRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    """IncludeManagedResources changes nothing: no template is managed."""
    found = templates.find(cx, req.get("LaunchTemplateIds", ()), req.get("LaunchTemplateNames", ()))
    return (render(cx, one) for one in found)


@ec2.listing("DescribeLaunchTemplateVersions", key=("LaunchTemplateId", "VersionNumber"), ordered=True)
def describe_launch_template_versions(
    cx: Context, req: DescribeLaunchTemplateVersionsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    """Newest first. ResolveAlias and IncludeManagedResources change nothing: there are neither aliases nor managers."""
    known, last = (cx.after[0], int(cx.after[1])) if cx.after else ("", 0)
    for one in _wanted(cx, req):
        if one.template.id > known or (one.template.id == known and one.number < last):
            yield render_version(cx, one)


@ec2.action("ModifyLaunchTemplate", longest_token=128)
def modify_launch_template(cx: Context, req: ModifyLaunchTemplateRequestTypeDef) -> Mapping[str, Any]:
    template = _one(cx, req)
    if not req.get("DefaultVersion"):
        raise AwsError("MissingParameter", "The request must contain the parameter SetDefaultVersion")
    changed = templates.set_default(cx, template, number_of(cx, template, req["DefaultVersion"]))
    return {"LaunchTemplate": render(cx, changed)}


@ec2.action("DeleteLaunchTemplate")
def delete_launch_template(cx: Context, req: DeleteLaunchTemplateRequestTypeDef) -> Mapping[str, Any]:
    template = _one(cx, req)
    answer = render(cx, template)
    templates.delete(cx, template)
    return {"LaunchTemplate": answer}


@ec2.action("DeleteLaunchTemplateVersions")
def delete_launch_template_versions(cx: Context, req: DeleteLaunchTemplateVersionsRequestTypeDef) -> Mapping[str, Any]:
    """Each version by itself: one that cannot go does not keep the others."""
    template, wanted = _one(cx, req), list(dict.fromkeys(req["Versions"]))
    if len(wanted) > _MOST_AT_ONCE or not all(_is_number(one) for one in wanted):
        message = f"Name at most {_MOST_AT_ONCE} versions, by their numbers."
        raise AwsError("InvalidParameterValue", message)
    done, kept = [], []
    for number in map(int, wanted):
        item = {
            "LaunchTemplateId": template.id,
            "LaunchTemplateName": template.data["name"],
            "VersionNumber": number,
        }
        try:
            templates.delete_version(cx, template, number)
            done.append(item)
        except Fault as fault:
            code = "launchTemplateVersionDoesNotExist" if isinstance(fault, NotFound) else "unexpectedError"
            kept.append({**item, "ResponseError": {"Code": code, "Message": str(fault)}})
    return {
        "SuccessfullyDeletedLaunchTemplateVersions": done,
        "UnsuccessfullyDeletedLaunchTemplateVersions": kept,
    }


def named(cx: Context, spec: Mapping[str, Any]) -> Version:
    """The version that a launch names, by default the default one. Raises AwsError and NotFound."""
    template = _one(cx, spec)
    return chosen(cx, template, spec.get("Version") or "$Default")


def chosen(cx: Context, template: Kept, said: str) -> Version:
    """A version as clients say it: a number, `$Latest` or `$Default`."""
    return templates.version(cx, template, number_of(cx, template, said))


def number_of(cx: Context, template: Kept, said: str) -> int:
    """Raises AwsError for what is no version at all."""
    if said == "$Latest":
        return templates.latest(cx, template)
    if said == "$Default":
        return int(template.data["default"])
    if not _is_number(said):
        raise AwsError("InvalidParameterValue", f"'{said[:128]}' is not a valid launch template version.")
    return int(said)


def render(cx: Context, template: Kept) -> dict[str, Any]:
    """A LaunchTemplate of the model."""
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.data["name"],
        "CreateTime": template.created,
        "CreatedBy": _creator(cx),
        "DefaultVersionNumber": template.data["default"],
        "LatestVersionNumber": templates.latest(cx, template),
        "Tags": tag_set(template.tags),
    }


def render_version(cx: Context, one: Version) -> dict[str, Any]:
    """A LaunchTemplateVersion of the model."""
    said: dict[str, Any] = {
        "LaunchTemplateId": one.template.id,
        "LaunchTemplateName": one.template.data["name"],
        "VersionNumber": one.number,
        "CreateTime": one.created,
        "CreatedBy": _creator(cx),
        "DefaultVersion": one.number == one.template.data["default"],
        "LaunchTemplateData": thawed(one.data),
    }
    return {**said, "VersionDescription": one.description} if one.description else said


def thawed(data: Mapping[str, Any]) -> dict[str, Any]:
    """A template's data as it was given: its one time is a text in the store."""
    options = data.get("InstanceMarketOptions", {}).get("SpotOptions", {})
    if "ValidUntil" not in options:
        return dict(data)
    return _with_end(data, datetime.fromisoformat(options["ValidUntil"]))


def _with_end(data: Mapping[str, Any], end: Any) -> dict[str, Any]:
    market = data["InstanceMarketOptions"]
    spot = {**market["SpotOptions"], "ValidUntil": end}
    return {**data, "InstanceMarketOptions": {**market, "SpotOptions": spot}}


def _checked(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A template's data as the store can hold it. What a launch cannot honour is refused when something is launched."""
    tags_of(data.get("TagSpecifications", ()), TAGGED)
    if data.get("InstanceType") and data.get("InstanceRequirements"):
        message = "InstanceType and InstanceRequirements may not be specified together."
        raise AwsError("InvalidParameterCombination", message)
    if data.get("Operator"):
        raise AwsError("UnsupportedOperation", "There are no managed instances.")
    end = data.get("InstanceMarketOptions", {}).get("SpotOptions", {}).get("ValidUntil")
    return _with_end(data, end.isoformat()) if isinstance(end, datetime) else data


def _inherited(source: Version) -> Mapping[str, Any]:
    """What a new version takes over from another: all but the disks' snapshots, as AWS does."""
    disks = [_without_snapshot(disk) for disk in source.data.get("BlockDeviceMappings", ())]
    data = thawed(source.data)
    return {**data, "BlockDeviceMappings": disks} if disks else data


def _without_snapshot(disk: Mapping[str, Any]) -> Mapping[str, Any]:
    if "Ebs" not in disk:
        return disk
    return {**disk, "Ebs": {name: value for name, value in disk["Ebs"].items() if name != "SnapshotId"}}


def _wanted(cx: Context, req: DescribeLaunchTemplateVersionsRequestTypeDef) -> Sequence[Version]:
    """The versions asked for, by template and from the newest."""
    asked = req.get("Versions", ())
    low, high = req.get("MinVersion"), req.get("MaxVersion")
    if asked and (low or high):
        raise AwsError("InvalidParameterCombination", "Versions cannot go with MinVersion or MaxVersion.")
    if not (req.get("LaunchTemplateId") or req.get("LaunchTemplateName")):
        return _of_all(cx, asked)
    template = _one(cx, req)
    if asked:
        numbers = {number_of(cx, template, one) for one in asked}
        return [templates.version(cx, template, number) for number in sorted(numbers, reverse=True)]
    least = number_of(cx, template, low) if low else 1
    most = number_of(cx, template, high) if high else templates.latest(cx, template)
    return [one for one in templates.versions(cx, template) if least <= one.number <= most]


def _of_all(cx: Context, asked: Sequence[str]) -> Sequence[Version]:
    """The latest or the default versions of all templates."""
    if not asked:
        raise AwsError("MissingParameter", "The request must contain the parameter LaunchTemplateId")
    if not set(asked) <= {"$Latest", "$Default"}:
        message = "Without a launch template, only the versions $Latest and $Default can be described."
        raise AwsError("InvalidParameterCombination", message)
    found = []
    for template in templates.find(cx):
        wanted = {number_of(cx, template, said) for said in asked}
        found += [templates.version(cx, template, number) for number in sorted(wanted, reverse=True)]
    return found


def _one(cx: Context, said: Mapping[str, Any]) -> Kept:
    """The template that is named, by its id or by its name."""
    known, name = said.get("LaunchTemplateId"), said.get("LaunchTemplateName")
    if known and name:
        message = "A launch template is named by LaunchTemplateId or by LaunchTemplateName, not by both."
        raise AwsError("InvalidParameterCombination", message)
    if not known and not name:
        message = "The request must contain the parameter LaunchTemplateId or LaunchTemplateName"
        raise AwsError("MissingParameter", message)
    return templates.find(cx, [known] if known else [], [name] if name else [])[0]


def _description(req: Mapping[str, Any]) -> str:
    text: str = req.get("VersionDescription", "")
    if len(text) > _DESCRIPTION:
        raise AwsError("InvalidParameterValue", f"A version's description has at most {_DESCRIPTION} characters.")
    return text


def _is_number(said: str) -> bool:
    return said.isascii() and said.isdigit() and len(said) < 10


def _creator(cx: Context) -> str:
    return f"arn:aws:iam::{cx.account}:root"
