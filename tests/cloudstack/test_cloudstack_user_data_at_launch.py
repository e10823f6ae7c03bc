"""User data of a launch is what a guest reads from CloudStack, byte for byte, whatever is in it."""

from __future__ import annotations

import base64
import gzip
import random
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import Isthmus

MOST = 16 * 1024
"""Bytes of user data that EC2 takes."""
SCRIPT = b"#!/bin/sh\necho 'a b' >/tmp/x & true + = % \xc3\xa9\n"
BYTES = random.Random(1).randbytes(MOST)


def launch(ec2: Any, data: bytes) -> None:
    [image, *_] = ec2.describe_images()["Images"]
    asked = {"ImageId": image["ImageId"], "InstanceType": "Tiny", "MinCount": 1, "MaxCount": 1}
    ec2.run_instances(**asked, UserData=data)


@pytest.mark.parametrize("data", [SCRIPT, gzip.compress(SCRIPT, mtime=0), BYTES], ids=["script", "gzip", "largest"])
def test_user_data_arrives_as_it_was_given(isthmus: Isthmus, ec2: Any, data: bytes) -> None:
    sent: list[httpx.Request] = []
    isthmus.real._wire._http.event_hooks = {"request": [sent.append]}

    launch(ec2, data)

    [kept] = isthmus.emulated.user_data.values()
    assert data == base64.b64decode(kept, validate=True)
    [deployed] = [one for one in sent if b"deployVirtualMachine" in one.content]
    assert ("POST", b"") == (deployed.method, deployed.url.query)
    assert [kept] == parse_qs(deployed.content.decode())["userdata"]


def test_more_than_ec2_takes_is_refused_before_cloudstack_is_asked(isthmus: Isthmus, ec2: Any) -> None:
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        launch(ec2, BYTES + b"x")

    assert 0 == isthmus.emulated.asked["deployVirtualMachine"]


def test_no_user_data_is_none(isthmus: Isthmus, ec2: Any) -> None:
    launch(ec2, b"")

    assert [""] == [*isthmus.emulated.user_data.values()]
