"""EC2's rules for tags: at most 50 a resource, keys of 128 and values of 256 characters, `aws:` reserved.

Source: "Tag your Amazon EC2 resources" in the EC2 User Guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from isthmus.aws.errors import AwsError

MOST = 50
_KEY, _VALUE = 128, 256


def tags_of(specifications: Iterable[Mapping[str, Any]], makes: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """TagSpecifications as tags by resource type, checked against what the action makes."""
    tags: dict[str, dict[str, str]] = {}
    for specification in specifications:
        kind = specification.get("ResourceType", "")
        if not kind:
            raise AwsError("InvalidParameterValue", "Tag specification resource type must have a value.")
        if kind not in makes:
            raise AwsError("InvalidParameterValue", f"'{kind}' is not a taggable resource type for this operation.")
        if kind in tags:
            raise AwsError("InvalidParameterValue", f"The resource type '{kind}' is specified twice.")
        tags[kind] = checked(specification.get("Tags", ()))
    return tags


def checked(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """A list of tags as a dict. Raises AwsError for tags that EC2 would refuse."""
    tags: dict[str, str] = {}
    for tag in given:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not key:
            raise AwsError("InvalidParameterValue", "Tag key cannot be empty.")
        if len(key) > _KEY:
            raise AwsError("InvalidParameterValue", f"Tag key exceeds the maximum length of {_KEY} characters.")
        if len(value) > _VALUE:
            raise AwsError("InvalidParameterValue", f"Tag value exceeds the maximum length of {_VALUE} characters.")
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use.")
        if key in tags:
            raise AwsError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        tags[key] = value
    if len(tags) > MOST:
        raise AwsError("TagLimitExceeded", f"More than {MOST} tags specified.")
    return tags


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
