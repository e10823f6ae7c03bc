"""Where an account may make so many calls in a while, Isthmus makes no more, and waits: reads and writes alike."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from emulated_cloudstack import fronted
from emulators.cloudstack.world import Account, Refusal, World

from isthmus import errors
from isthmus.providers.cloudstack import client as wired
from isthmus.providers.cloudstack import pace
from isthmus.providers.cloudstack.client import Client, Held, Wire
from isthmus.providers.cloudstack.signing import Keys

LIMIT = Refusal(429, "The given user has reached his/her account api limit, please retry after 120 ms.", 4545)
UNTOLD = Refusal(429, "The given user has reached his/her account api limit", 4545)
LONG = Refusal(429, "The given user has reached his/her account api limit, please retry after 60000 ms.", 4545)


def took(call: Any) -> float:
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def test_a_read_that_is_one_too_many_waits_for_as_long_as_it_is_told(client: Client, cloud: World) -> None:
    cloud.wrong_next("listZones", LIMIT)

    assert 0.12 <= took(lambda: client.every("listZones", "zone"))
    assert 2 == cloud.asked["listZones"]


def test_who_is_not_told_for_how_long_waits_twice_as_long_each_time(
    client: Client, cloud: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "FIRST_SECONDS", 0.05)
    cloud.wrong_next("listZones", UNTOLD, UNTOLD, UNTOLD)

    assert 0.05 + 0.1 + 0.2 <= took(lambda: client.every("listZones", "zone"))
    assert 4 == cloud.asked["listZones"]


def test_a_write_that_was_one_too_many_was_not_done_and_is_sent_again(client: Client, cloud: World) -> None:
    cloud.wrong_next("registerSSHKeyPair", LIMIT)

    client.do("registerSSHKeyPair", name="k", publickey="ssh-ed25519 AAAA")

    assert ["k"] == [one["name"] for one in client.every("listSSHKeyPairs", "sshkeypair")]


def test_what_takes_too_long_is_refused_at_once(client: Client, cloud: World) -> None:
    cloud.wrong_next("listZones", LONG)

    with pytest.raises(errors.Throttled):
        client.every("listZones", "zone")

    with pytest.raises(errors.Throttled):
        client.every("listVolumes", "volume")
    assert 0 == cloud.asked["listVolumes"]


def test_a_request_that_has_gone_on_for_long_does_not_wait(
    client: Client, cloud: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wired, "REQUEST_SECONDS", 0)
    cloud.wrong_next("listZones", LIMIT)

    with pytest.raises(errors.Throttled):
        client.once().every("listZones", "zone")


def test_a_job_that_nobody_may_ask_about_goes_on(client: Client, cloud: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wired, "PACED_SECONDS", 0)
    cloud.wrong_next("queryAsyncJobResult", LIMIT)

    with pytest.raises(Held) as refused:
        client.done("a-job")

    assert isinstance(refused.value, errors.Throttled)


def test_two_calls_of_one_tenant_wait_for_the_same_moment(
    client: Client, wire: Wire, account: Account, cloud: World
) -> None:
    """Of what one of them is told, the other one asks nothing meanwhile."""
    cloud.throttled = (2, 0.3)
    again = Client(wire, Keys(account.api, account.secret))
    calls = [lambda one=one: one.every("listZones", "zone") for one in (client, again) for _ in range(4)]

    with ThreadPoolExecutor(2) as threads:
        assert 8 == len(list(threads.map(lambda call: call(), calls)))

    assert 8 <= cloud.asked["listZones"] <= 8 + 2 * 3


def test_what_one_tenant_may_not_do_another_one_may(
    client: Client, wire: Wire, stranger: Account, cloud: World
) -> None:
    cloud.wrong_next("listZones", LONG)
    with pytest.raises(errors.Throttled):
        client.every("listZones", "zone")

    assert 1 == len(Client(wire, Keys(stranger.api, stranger.secret)).every("listZones", "zone"))


def test_a_client_of_ec2s_is_served_slowly_or_told_to_come_again(tmp_path: Path) -> None:
    with fronted(tmp_path, groups=True) as isthmus:
        ec2 = isthmus.client()
        isthmus.emulated.throttled = (3, 0.3)
        [image, *_] = ec2.describe_images()["Images"]
        made = ec2.run_instances(ImageId=image["ImageId"], InstanceType="Tiny", MinCount=2, MaxCount=2)["Instances"]
        assert 2 == len(made)
        assert 2 == sum(len(one["Instances"]) for one in ec2.describe_instances()["Reservations"])

        isthmus.emulated.throttled = (0, 60)
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            ec2.describe_instances()
