"""STS: who the caller is. Terraform and others ask before anything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.aws.errors import AwsError
from isthmus.aws.service import Service
from isthmus.context import Context
from isthmus.errors import Fault


def _say(_: Context, fault: Fault) -> AwsError:
    return AwsError("InternalFailure", str(fault), 500)


def _check(*_: object) -> None:
    """STS has no ids to check."""


sts = Service("sts", faults=_say, check=_check)


@sts.action("GetCallerIdentity")
def get_caller_identity(cx: Context, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Account": cx.account, "UserId": cx.account, "Arn": f"arn:aws:iam::{cx.account}:root"}
