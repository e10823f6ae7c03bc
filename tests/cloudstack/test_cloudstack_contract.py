"""What the emulator judges by: types of parameters, of answers and of jobs' results, and who signs how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from emulators.cloudstack.contract import Command, Field, commands
from emulators.cloudstack.signatures import LONGEST, expected

from isthmus.providers.cloudstack import signing
from isthmus.providers.cloudstack.signing import Keys, signed

PARAMS = {
    "boolean": ("listVolumes", "listall", "TRUE", "yes"),
    "date": ("listEvents", "startdate", "2026-01-02 03:04:05", "2026-13-01"),
    "double": ("quotaCredits", "value", "-1.5", "much"),
    "integer": ("listVolumes", "page", "2147483647", "2147483648"),
    "list": ("listVolumes", "ids", "5f0c1f0e-7a51-4f6c-9d3e-3a9a0c0d0e0f", "5f0c1f0e-7a51-4f6c-9d3e-3a9a0c0d0e0f,5"),
    "long": ("createVolume", "size", "9223372036854775807", "9223372036854775808"),
    "map": ("createTags", "tags[0].key", "k", ""),
    "short": ("generateAlert", "type", "-32768", "32768"),
    "string": ("createSSHKeyPair", "name", "x" * 255, "x" * 256),
    "uuid": ("listVolumes", "id", "-1", "5"),
}
"""By the types of parameters, one of each: its command and name, a value, and one that is not of the type."""
UNTYPED = {"object"}
"""What takes any value."""


def reason(command: str, params: dict[str, str], but: str) -> str:
    """Why a parameter is refused, whatever else is missing."""
    told = commands()[command.lower()].wrong(params, "Admin")
    return "" if told.startswith("missing parameter") and but not in told else told


@pytest.mark.parametrize("kind", sorted(PARAMS))
def test_a_parameter_has_values_of_its_type_alone(kind: str) -> None:
    command, name, good, bad = PARAMS[kind]
    assert kind == commands()[command.lower()].params[name.partition("[")[0]]["type"]

    assert reason(command, {name: good}, name) == ""
    wrong = {"tags": "k"} if kind == "map" else {name: bad}
    assert f"parameter {next(iter(wrong))} of {command} is" in reason(command, wrong, name)


def test_each_type_of_the_contracts_parameters_is_tried() -> None:
    params = [one for command in commands().values() for one in command.params.values()]

    assert {one["type"] for one in params} == PARAMS.keys() | UNTYPED
    assert {one["itemtype"] for one in params if one["type"] == "list"} == {"uuid", "string"}


@pytest.mark.parametrize("name", ["id[0]", "id[0].key", "ids[0].key"])
def test_only_a_map_is_told_by_its_keys(name: str) -> None:
    assert "is no map" in reason("listVolumes", {name: "5f0c1f0e-7a51-4f6c-9d3e-3a9a0c0d0e0f"}, name)


def one_field(kind: str) -> Command:
    return Command({"name": "x", "isasync": False, "params": [], "response": [{"name": "f", "type": kind}]})


VALUES: dict[str, tuple[Any, list[Any]]] = {
    "apiconstants": ("x", [1]),
    "bigdecimal": (1.5, ["1.5"]),
    "boolean": (True, ["true", 1]),
    "date": ("2026-01-02T03:04:05+0000", ["2026-01-02", 1767322800]),
    "float": (0.5, ["0.5", True]),
    "int": (1, ["1", True, 1.0]),
    "integer": (1, ["1", True, 1.0]),
    "java": ([], ["x", {}]),
    "list": ([], ["x", {}]),
    "long": (1 << 40, ["1"]),
    "map": ({"k": "v"}, ["k=v", {"k": 1}]),
    "set": ([], ["x"]),
    "state": ("Enabled", [True]),
    "string": ("x", [1, None, ["x"]]),
}


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_a_field_of_an_answer_has_values_of_its_type_alone(kind: str) -> None:
    good, wrong = VALUES[kind]
    command = one_field(kind)

    assert [] == command.strange({"f": good})
    for value in wrong:
        assert [f"x.f is no {kind}: {value!r}"] == command.strange({"f": value})
    assert ["x.other"] == command.strange({"other": good})


def test_fields_within_objects_and_lists_are_judged_too() -> None:
    deployed = commands()["deployvirtualmachine"]

    assert [] == deployed.strange({"nic": [{"id": "n", "isdefault": True}]})
    assert ["deployVirtualMachine.nic.isdefault is no boolean: 'true'"] == deployed.strange(
        {"nic": [{"id": "n", "isdefault": "true"}]}
    )
    assert ["deployVirtualMachine.nic is no object: 'n'"] == deployed.strange({"nic": ["n"]})
    assert isinstance(deployed.fields["nic"].below["isdefault"], Field)


@pytest.mark.parametrize(
    ("command", "result", "said"),
    [
        ("createVolume", {"volume": {"id": "v"}}, []),
        ("createVolume", {"volume": {"id": 5}}, ["createVolume job.id is no string: 5"]),
        ("createVolume", {"disk": {"id": "v"}}, ["createVolume job: disk for volume"]),
        ("createVolume", {}, ["createVolume job:  for volume"]),
        ("deleteSnapshot", {"success": True}, []),
        ("deleteSnapshot", {"success": "true"}, ["deleteSnapshot tells no success"]),
        ("authorizeSecurityGroupIngress", {"securitygroup": {"ingressrule": []}}, []),
    ],
)
def test_what_a_job_has_done_is_judged(command: str, result: Any, said: list[str]) -> None:
    assert said == commands()[command.lower()].strange_result(result)


def test_a_jobs_result_that_is_not_by_the_contract_is_a_complaint(cloud: Any, account: Any) -> None:
    cloud.begin("createVolume", account, lambda: {"volume": {"size": "1"}}, "v")
    cloud.run_jobs()

    assert ["createVolume job.size is no long: '1'"] == cloud.complaints
    cloud.complaints.clear()


def asked(emulator: Any, account: Any, **said: str) -> int:
    """The status of a signed list."""
    params = {"command": "listZones", "response": "json", "apiKey": account.api, **said}
    return httpx.post(emulator.url, data={**params, "signature": expected(account.secret, params)}).status_code


def test_where_posts_are_enforced_signatures_expire_soon(emulator: Any, account: Any, cloud: Any) -> None:
    """As in CloudStack's ApiServer: else version 1 is taken, and any time."""
    now = cloud.now()
    soon, late = ((now + one).strftime("%Y-%m-%dT%H:%M:%S+0000") for one in (LONGEST / 2, LONGEST * 2))

    assert 200 == asked(emulator, account, signatureVersion="3", expires=soon)
    assert 401 == asked(emulator, account, signatureVersion="3", expires=late)
    assert 401 == asked(emulator, account, signatureVersion="3")
    assert 401 == asked(emulator, account)
    emulator.posts = False
    assert 200 == asked(emulator, account, signatureVersion="3", expires=late)
    assert 200 == asked(emulator, account)
    assert 401 == asked(emulator, account, signatureVersion="3")


def test_isthmus_signs_for_no_longer_than_is_taken(cloud: Any) -> None:
    assert signing.EXPIRES < LONGEST - timedelta(minutes=5)
    assert "3" == signed(Keys("a", "b"), {"command": "listZones"}, cloud.now())["signatureversion"]
