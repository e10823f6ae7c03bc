"""What real CloudStacks once answered, as others recorded it, is taken; refusals are told by code and text."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from replaying import ANSWERS, Replayed, named, said

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unavailable
from isthmus.providers.cloudstack.client import Client

REFUSALS: Mapping[str, type[Fault]] = {
    "ec2stack/invalid_attach_volume_instance_not_found": NotFound,
    "ec2stack/invalid_attach_volume_volume_attached": Conflict,
    "ec2stack/invalid_attach_volume_volume_not_found": NotFound,
    "ec2stack/invalid_authorize_security_group_egress": Invalid,
    "ec2stack/invalid_authorize_security_group_egress_duplicate": Conflict,
    "ec2stack/invalid_authorize_security_group_ingress": Invalid,
    "ec2stack/invalid_authorize_security_group_ingress_duplicate": Conflict,
    "ec2stack/invalid_create_keypair_duplicate": Conflict,
    "ec2stack/invalid_create_security_group_duplicate": Conflict,
    "ec2stack/invalid_create_snapshot_volume_not_found": NotFound,
    "ec2stack/invalid_create_tag_not_found": NotFound,
    "ec2stack/invalid_create_volume_invalid_snapshot_response": NotFound,
    "ec2stack/invalid_create_vpc_invalid_cidr": Invalid,
    "ec2stack/invalid_delete_security_group": NotFound,
    "ec2stack/invalid_delete_snapshot_snapshot_not_found": NotFound,
    "ec2stack/invalid_delete_tag_tag_not_found": NotFound,
    "ec2stack/invalid_delete_volume_invalid_volume_id": NotFound,
    "ec2stack/invalid_describe_image_image_not_found": NotFound,
    "ec2stack/invalid_detach_volume_instance_not_found": NotFound,
    "ec2stack/invalid_detach_volume_volume_detached": Conflict,
    "ec2stack/invalid_detach_volume_volume_not_found": NotFound,
    "ec2stack/invalid_import_keypair_duplicate": Conflict,
    "ec2stack/invalid_instance_get_password": NotFound,
    "ec2stack/invalid_run_instance_image_not_found": NotFound,
    "ec2stack/invalid_run_instance_keypair_not_found": NotFound,
    "ec2stack/invalid_run_instance_security_group_not_found": NotFound,
    "ec2stack/invalid_run_instance_unknown_issue": Invalid,
    "ec2stack/invalid_security_group_authorize_security_group": NotFound,
    "libcloud/deployVirtualMachine_deployfail": NotFound,
    "libcloud/queryAsyncJobResult_17177": Unavailable,
    "libcloud/registerSSHKeyPair_error": Invalid,
}


def client(key: str) -> Client:
    return Replayed({named(key): ANSWERS[key]}).client


@pytest.mark.parametrize("key", sorted(ANSWERS.keys() - REFUSALS.keys()))
def test_an_answer_is_taken(key: str) -> None:
    asked, answer = client(key), said(key)

    if named(key) == "queryasyncjobresult" and answer.get("jobstatus"):
        assert asked.done("job") == (answer.get("jobresult") or {})
    else:
        assert asked.read(named(key)) == answer


@pytest.mark.parametrize("key", REFUSALS)
def test_a_refusal_is_told_by_its_code_and_its_text(key: str) -> None:
    asked = client(key)

    with pytest.raises(REFUSALS[key]):
        asked.done("job") if named(key) == "queryasyncjobresult" else asked.read(named(key))
