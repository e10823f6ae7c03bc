"""How CloudStack is called: signed, page by page, jobs to their end, and what goes wrong as a Fault."""

from __future__ import annotations

from typing import Any

import pytest
from emulators.cloudstack.world import CUT, NEVER, SILENT, Refusal

from isthmus import errors, retry
from isthmus.providers.cloudstack import client as wired
from isthmus.providers.cloudstack.client import Client, Silent, flat
from isthmus.providers.cloudstack.signing import Keys, signature

ODD = "a b*c~d+e/f=g&h%é€"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(wired, "FIRST_LOOK", 0.01)


def volume(client: Client, name: str = "v", size: int = 1) -> Any:
    [offering] = [one for one in client.every("listDiskOfferings", "diskoffering") if one["iscustomized"]]
    [zone] = client.every("listZones", "zone")
    asked = {"name": name, "zoneid": zone["id"], "diskofferingid": offering["id"], "size": size}
    return client.do("createVolume", "volume", "", **asked)["volume"]


def test_a_signature_is_that_of_cloudstacks_documentation() -> None:
    """The example of "Signing API requests", version 1."""
    said = {
        "apikey": "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg",
        "command": "listUsers",
        "response": "json",
    }
    secret = "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ"

    assert "TTpdDq/7j/J58XCRHomKoQXEQds=" == signature(secret, said)


@pytest.mark.parametrize("name", [ODD, "plain", " ", "~"])
def test_values_are_signed_as_the_server_reads_them(client: Client, name: str) -> None:
    assert name == volume(client, name)["name"]


def test_parameters_are_flattened() -> None:
    said = flat({"a": True, "b": ["x", 1], "c": {"k": "v"}, "d": [{"key": "k", "value": "v"}], "e": None, "f": 5})

    assert said == {"a": "true", "b": "x,1", "c[0].k": "v", "d[0].key": "k", "d[0].value": "v", "f": "5"}


def test_lists_are_read_to_their_end(client: Client, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wired, "PAGE", 2)
    made = {volume(client)["id"] for _ in range(5)}
    cloud.asked.clear()

    assert made == {one["id"] for one in client.every("listVolumes", "volume")}
    assert 3 == cloud.asked["listVolumes"]


def test_a_list_of_nothing_is_empty(client: Client) -> None:
    assert [] == client.every("listVolumes", "volume")


def test_what_is_begun_has_an_id_at_once_and_is_done_later(client: Client, cloud: Any) -> None:
    cloud.job_seconds = 60
    [zone] = client.every("listZones", "zone")
    [offering] = client.every("listDiskOfferings", "diskoffering", name="Small")
    begun = client.begin("createVolume", zoneid=zone["id"], diskofferingid=offering["id"])
    [found] = client.every("listVolumes", "volume", id=begun["id"])
    assert "Creating" == found["state"]
    with pytest.raises(errors.Unavailable, match="still busy"):
        client.done(begun["jobid"], seconds=0.05)

    cloud.pass_by(61)

    assert (begun["id"], "Allocated") == (
        client.done(begun["jobid"])["volume"]["id"],
        client.every("listVolumes", "volume")[0]["state"],
    )


def test_a_job_that_never_ends_is_not_waited_for(client: Client, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client.done, "__defaults__", ("", "", 0.1))
    cloud.wrong_next("createVolume job", NEVER)

    with pytest.raises(errors.Unavailable, match="still busy"):
        volume(client)


@pytest.mark.parametrize("fault", [CUT, Refusal(503, "busy", 4285)])
def test_a_write_is_sent_once(client: Client, cloud: Any, fault: Any) -> None:
    cloud.wrong_next("createVolume", fault)

    with pytest.raises(errors.Unavailable):
        volume(client)

    assert 1 == cloud.asked["createVolume"]


def test_a_read_that_breaks_off_is_tried_once_more(client: Client, cloud: Any) -> None:
    cloud.wrong_next("listZones", CUT)
    assert 1 == len(client.every("listZones", "zone"))

    cloud.wrong_next("listZones", CUT, CUT)
    with pytest.raises(Silent):
        client.every("listZones", "zone")


def test_a_silent_cloud_is_not_waited_for(client: Client, cloud: Any, wire: Any) -> None:
    wire._http.timeout = 0.2
    cloud.wrong_next("listZones", SILENT, SILENT)

    with pytest.raises(Silent):
        client.every("listZones", "zone")


def test_what_was_read_in_a_request_is_asked_for_once_until_something_changes(client: Client, cloud: Any) -> None:
    one = client.once()
    volume(one)
    cloud.asked.clear()
    for _ in range(3):
        one.every("listVolumes", "volume")
    assert 1 == cloud.asked["listVolumes"]

    one.do("registerSSHKeyPair", name="k", publickey="ssh-ed25519 AAAA")
    one.every("listVolumes", "volume")

    assert 2 == cloud.asked["listVolumes"]


@pytest.mark.parametrize(
    ("code", "text", "fault"),
    [
        (401, "unable to verify user credentials and/or request signature", errors.NotTaken),
        (401, "The given command 'addHost' does not exist, is not available for user", errors.Unauthorized),
        (431, "A key pair with name 'k' already exists.", errors.Conflict),
        (431, "Unable to create security group, a group with name g already exisits.", errors.Conflict),
        (431, "A key pair with name 'k' was not found.", errors.NotFound),
        (431, "Object vm_template(uuid: c34bf3f0) does not exist.", errors.NotFound),
        (431, "Unable to aquire volume with ID: 45", errors.NotFound),
        (431, "Please specify a valid template ID.", errors.NotFound),
        (431, "Invalid CIDR specified 192.168.0.2/33", errors.Invalid),
        (431, "Public key is invalid", errors.Invalid),
        (431, "Unable to execute API command x due to missing parameter y", errors.Incomplete),
        (432, "The given command:x does not exist or it is not available for user", errors.Unauthorized),
        (432, "Unknown API command: x", errors.Unsupported),
        (530, "Unable to find resource by id a0ae3a53 and type UserVm", errors.NotFound),
        (530, "Invalid parameter id.", errors.NotFound),
        (530, "Please specify a volume that is not attached to any VM.", errors.Conflict),
        (530, "The specified volume is not attached to a VM.", errors.Conflict),
        (530, "Failed to authorize security group ingress rule(s)", errors.Conflict),
        (531, "Acct[5-x] does not have permission to operate with resource", errors.Unauthorized),
        (532, "Maximum number of resources of type 'volume' exceeded", errors.QuotaExceeded),
        (533, "Insufficient capacity", errors.NoCapacity),
        (536, "The security group is in use", errors.Conflict),
        (537, "There is already a rule", errors.Conflict),
    ],
)
def test_what_goes_wrong_is_told_by_code_and_text(client: Client, cloud: Any, code: int, text: str, fault: Any) -> None:
    cloud.wrong_next("listZones", Refusal(code, text))

    with pytest.raises(fault):
        client.read("listZones", "thing")


def test_what_a_job_failed_with_is_told(client: Client, cloud: Any) -> None:
    cloud.wrong_next("createVolume job", Refusal(533, "Insufficient capacity"))

    with pytest.raises(errors.NoCapacity):
        volume(client)


def test_what_is_anothers_does_not_exist(client: Client, wire: Any, stranger: Any) -> None:
    theirs = volume(client)["id"]

    with pytest.raises(errors.NotFound):
        Client(wire, Keys(stranger.api, stranger.secret)).do("deleteVolume", "volume", theirs, id=theirs)


def test_a_secret_is_not_told(account: Any) -> None:
    assert account.secret not in repr(Keys(account.api, account.secret))
