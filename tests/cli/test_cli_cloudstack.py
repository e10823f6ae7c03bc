"""`isthmus cloud add cloudstack`, and keys of CloudStack's users, over an emulated CloudStack."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from emulated_cloudstack import emulating
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account
from service import ISTHMUS, environment, isthmus, refusal, serving

from isthmus import config

SECRET_NAME = "secret"


@pytest.fixture
def root(emulator: Emulator) -> Account:
    return emulator.world.new_account("root", "Admin")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Settings that are yet to be."""
    return tmp_path / "isthmus.toml"


def adding(emulator: Emulator, by: Account, file: Path | None, *words: str, **more: Any) -> Any:
    """`isthmus cloud add cloudstack`, with the secret on standard input; nowhere does it show."""
    given = ("--url", emulator.url, "--key", by.api, "--secret", "-")
    to = ("--config", str(file)) if file else ()
    done = isthmus("cloud", "add", "cloudstack", *given, *to, *words, text=by.secret + "\n", **more)
    assert by.secret not in done.stdout + done.stderr
    return done


def test_an_administrators_cloud_is_added(emulator: Emulator, root: Account, file: Path, tmp_path: Path) -> None:
    done = adding(emulator, root, file, "--name", "private", state=tmp_path / "state")

    assert 0 == done.returncode, done.stderr
    said = tomllib.loads(file.read_text())["clouds"]
    secret = tmp_path / "private.secret"
    assert {
        "private": {
            "kind": "cloudstack",
            "zones": {"us-east-1a": "zone-1"},
            "url": emulator.url,
            "api_key": root.api,
            "secret_key_file": str(secret),
            "security_groups": True,
            "flavors": {"t2.nano": "Tiny", "t3.medium": "Medium"},
            "volume_types": {"gp3": "Custom"},
        }
    } == said
    assert (root.secret, 0o600) == (secret.read_text().strip(), secret.stat().st_mode & 0o777)
    assert root.secret not in file.read_text()
    assert "zone-1: security groups" in done.stderr
    assert "2 templates" in done.stderr
    assert "all users can sign" in done.stderr


def test_users_of_an_added_cloud_sign_with_their_own_keys(
    emulator: Emulator, root: Account, demo: Account, file: Path, tmp_path: Path
) -> None:
    adding(emulator, root, file)

    with serving(tmp_path / "state", "--config", str(file)) as service:
        for version in ("v4", "v2"):
            ec2 = client(service, demo, signature_version=version)
            assert ["us-east-1a"] == [one["ZoneName"] for one in ec2.describe_availability_zones()["AvailabilityZones"]]
        number = client(service, demo, "sts").get_caller_identity()["Account"]
        assert number != client(service, root, "sts").get_caller_identity()["Account"]
        emulator.world.disabled.add(demo.id)
        with pytest.raises(ClientError, match="AuthFailure"):
            client(service, root, "ec2", secret="wrong").describe_regions()
        log = "".join(service.log)
    assert f"{number}  demo" in isthmus("account", "list", state=tmp_path / "state").stdout
    for secret in (demo.secret, root.secret):
        assert secret not in log


def client(service: Any, by: Account, name: str = "ec2", secret: str = "", **more: Any) -> Any:
    session = boto3.Session(by.api, secret or by.secret, region_name="us-east-1")
    settings = Config(retries={"total_max_attempts": 1}, proxies={}, **more)
    return session.client(name, endpoint_url=f"http://127.0.0.1:{service.port}", config=settings)


def test_a_users_cloud_is_added_with_the_users_keys(
    emulator: Emulator, demo: Account, file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    done = adding(emulator, demo, file, state=state)

    assert 0 == done.returncode, done.stderr
    assert "api_key" not in file.read_text()
    assert f"The key {demo.api} belongs to the account demo" in done.stdout
    assert demo.api in isthmus("credentials", "list", state=state).stdout
    with serving(state, "--config", str(file)) as service:
        ec2 = client(service, demo)
        assert {"t2.nano", "t3.medium"} <= {
            one["InstanceType"] for one in ec2.describe_instance_types()["InstanceTypes"]
        }
        assert ["community", "debian"] == sorted(one["Name"] for one in ec2.describe_images()["Images"])


def test_clouds_are_added_to_settings_that_are_there(emulator: Emulator, root: Account, file: Path) -> None:
    file.write_text("# mine\nworkers = 1\n[clouds.simulated]\nkind = 'memory'\n")
    file.chmod(0o640)

    assert 0 == adding(emulator, root, file).returncode

    assert file.read_text().startswith(
        "# mine\nworkers = 1\n[clouds.simulated]\nkind = 'memory'\n\n[clouds.cloudstack]\n"
    )
    assert 0o640 == file.stat().st_mode & 0o777
    settings = config.load(file, environ={})
    assert {"simulated": ["us-east-1a"], "cloudstack": ["us-east-1b"]} == {
        name: list(cloud.zones) for name, cloud in settings.clouds.items()
    }
    before = file.read_text()
    assert "There is a cloud cloudstack already" in adding(emulator, root, file).stderr
    assert before == file.read_text()


def test_settings_in_another_form_are_left(emulator: Emulator, root: Account, file: Path) -> None:
    before = "clouds = { simulated = { kind = 'memory' } }\n"
    file.write_text(before)

    assert "in a form that none can be added to" in adding(emulator, root, file).stderr
    assert (before, [file]) == (file.read_text(), list(file.parent.iterdir()))


def second_zone(emulator: Emulator) -> None:
    """One of the other kind."""
    plain = {**emulator.world.zones[0], "id": str(uuid4()), "name": "zone-2", "securitygroupsenabled": False}
    emulator.world.zones.append(plain)


def test_zones_of_both_kinds_are_two_clouds(emulator: Emulator, root: Account, file: Path) -> None:
    second_zone(emulator)

    assert 0 == adding(emulator, root, file).returncode

    said = tomllib.loads(file.read_text())["clouds"]
    assert {"us-east-1a": "zone-2"} == said["cloudstack"]["zones"]
    assert {"us-east-1b": "zone-1"} == said["cloudstack-groups"]["zones"]
    assert (None, True) == tuple(one.get("security_groups") for one in said.values())


@pytest.mark.parametrize("kept", [False, True], ids=["told by an administrator's keys", "imported"])
def test_a_users_pair_is_good_for_zones_of_both_kinds(
    kept: bool, emulator: Emulator, root: Account, demo: Account, file: Path, tmp_path: Path
) -> None:
    second_zone(emulator)
    adding(emulator, demo if kept else root, file, state=tmp_path / "state")

    with serving(tmp_path / "state", "--config", str(file)) as service:
        ec2 = client(service, demo)
        zones = [one["ZoneName"] for one in ec2.describe_availability_zones()["AvailabilityZones"]]
        made = [ec2.create_volume(AvailabilityZone=one, Size=1)["VolumeId"] for one in zones]

        assert ["us-east-1a", "us-east-1b"] == zones
        assert sorted(made) == sorted(one["VolumeId"] for one in ec2.describe_volumes()["Volumes"])
    assert ["zone-1", "zone-2"] == sorted(one["zonename"] for _, one in emulator.world.things["volume"].values())


def test_a_pair_that_is_imported_again_is_one_of_clouds_that_were_added_since(
    emulator: Emulator, demo: Account, file: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    adding(emulator, demo, file, state=state)
    with file.open("a") as settings:
        settings.write(
            f'[clouds.vpcs]\nkind = "cloudstack"\nurl = "{emulator.url}"\nzones = {{ us-east-1b = "zone-2" }}\n'
        )
    second_zone(emulator)
    words = ("credentials", "import", "--cloud", "cloudstack", "--config", str(file))

    assert 0 == isthmus(*words, state=state, text=pair(demo)).returncode

    with serving(state, "--config", str(file)) as service:
        ec2 = client(service, demo)
        assert 2 == len(ec2.describe_availability_zones()["AvailabilityZones"])
        assert [] == ec2.describe_volumes()["Volumes"]


def test_an_account_without_a_login_at_a_further_cloud_is_told(
    emulator: Emulator, demo: Account, file: Path, tmp_path: Path
) -> None:
    second_zone(emulator)
    adding(emulator, demo, file, state=tmp_path / "state")
    isthmus("account", "create", "blue", state=tmp_path / "state")
    blue = emulator.world.new_account("blue")
    login = f"api_key={blue.api}\nsecret_key={blue.secret}\n"

    def mapped(cloud: str, *words: str) -> str:
        asked = ("account", "tenant", "blue", cloud, blue.id, *words, "--config", str(file))
        done = isthmus(*asked, state=tmp_path / "state", text=login)
        assert 0 == done.returncode, done.stderr
        return str(done.stderr)

    assert "" == mapped("cloudstack", "--secrets", "-")
    assert f"WARNING: no login of {blue.id} is kept for cloudstack-groups:" in mapped("cloudstack-groups")
    assert "" == mapped("cloudstack-groups", "--secrets", "-")


def test_what_the_cloud_lets_accounts_do_is_found(emulator: Emulator, root: Account) -> None:
    emulator.world.users_expunge = True

    assert tomllib.loads(adding(emulator, root, None, "--dry-run").stdout)["clouds"]["cloudstack"]["expunge"] is True


def test_a_dry_run_writes_nothing(emulator: Emulator, root: Account, tmp_path: Path) -> None:
    done = adding(emulator, root, None, "--dry-run", state=tmp_path / "state")

    assert emulator.url == tomllib.loads(done.stdout)["clouds"]["cloudstack"]["url"]
    assert [] == list(tmp_path.iterdir())


def test_what_the_keys_may_not_do_is_told(emulator: Emulator, demo: Account, tmp_path: Path) -> None:
    emulator.world.denied |= {("User", "createvolume"), ("User", "deployvirtualmachine")}

    said = adding(emulator, demo, None, "--dry-run").stderr

    assert "NO    run servers: these keys have no right to deployVirtualMachine\n" in said
    assert "NO    use volumes: these keys have no right to createVolume" in said
    assert "security groups: these keys" not in said
    assert "these are a user's keys" in said


def test_what_is_not_given_is_asked_for(emulator: Emulator, root: Account, file: Path) -> None:
    """At a terminal; the secret is not shown there."""
    primary, secondary = os.openpty()
    words = (*ISTHMUS, "cloud", "add", "cloudstack", "--config", str(file))
    with subprocess.Popen(
        words,
        stdin=secondary,
        stdout=secondary,
        stderr=secondary,
        env=environment(),
        start_new_session=True,
    ) as process:
        os.close(secondary)
        shown = b""
        for question, answer in ((b"API: ", emulator.url), (b"API key: ", root.api), (b"ecret key: ", root.secret)):
            while question not in shown:
                shown += os.read(primary, 1024)
            os.write(primary, answer.encode() + b"\n")
        shown += rest(primary)
        assert 0 == process.wait(30)
    assert root.secret.encode() not in shown
    assert root.api == tomllib.loads(file.read_text())["clouds"]["cloudstack"]["api_key"]


def rest(terminal: int) -> bytes:
    """What is shown until the other side is closed."""
    shown = b""
    try:
        while part := os.read(terminal, 1024):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    return shown


def test_where_nobody_can_be_asked_it_is_said_what_lacks(file: Path) -> None:
    done = isthmus("cloud", "add", "cloudstack", "--config", str(file))

    assert "say it with --url" in refusal(done)
    assert "--config isthmus.toml" in refusal(isthmus("cloud", "add", "cloudstack"))
    assert not file.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda words: [*words, "--url", "cloud.example.org"], "--url is a URL"),
        (lambda words: [*words, "--url", "http://127.0.0.1:9"], "does not answer"),
        (lambda words: [*words, "--key", "api-of-nobody"], "does not take"),
        (lambda words: [*words, "--secret", "/no/such/file"], "cannot be read"),
        (lambda words: [*words, "--name", "Private"], "small letters"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    emulator: Emulator, root: Account, file: Path, change: Callable[[list[str]], list[str]], said: str
) -> None:
    done = adding(emulator, root, file, *change([]))

    assert 1 == done.returncode
    assert said in done.stderr
    assert [] == list(file.parent.iterdir())


def test_what_an_added_cloud_can_do_is_told_before_anybody_signs(
    emulator: Emulator, root: Account, file: Path, tmp_path: Path
) -> None:
    adding(emulator, root, file)
    told = isthmus("cloud", "check", "--config", str(file), state=tmp_path / "state")

    assert 0 == told.returncode, told.stdout
    assert "credentials: of all users" in told.stdout
    assert "yes       launch servers" in told.stdout
    served = isthmus("coverage", "--config", str(file), state=tmp_path / "state")
    assert 0 == served.returncode, served.stderr
    emulator.world.denied.add(("Admin", "getuserkeys"))
    assert "DEGRADED  CloudStack does not let the administrator's keys do getUserKeys." in (
        isthmus("cloud", "check", "--config", str(file), state=tmp_path / "state").stdout
    )


def test_types_are_proposed_by_size(emulator: Emulator, demo: Account) -> None:
    given = ("--url", emulator.url, "--key", demo.api, "--secret", "-")
    done = isthmus("cloud", "map", "cloudstack", *given, text=demo.secret)

    lines, _, shown = done.stdout.partition("\n\n")
    assert {"flavors": {"t2.nano": "Tiny", "t3.medium": "Medium"}, "volume_types": {"gp3": "Custom"}} == tomllib.loads(
        lines
    )
    assert ["t2.nano", "Tiny", "1", "512"] == shown.splitlines()[1].split()


def pair(by: Account) -> str:
    """As CloudStack's `getUserKeys` shows it."""
    return f'{{"userkeys": {{"apikey": "{by.api}", "secretkey": "{by.secret}"}}}}'


@pytest.fixture
def configured(emulator: Emulator, file: Path) -> Path:
    """Settings of a CloudStack without an administrator's keys."""
    file.write_text(
        f'[clouds.stack]\nkind = "cloudstack"\nurl = "{emulator.url}"\nzones = {{ us-east-1a = "zone-1" }}\n'
        "security_groups = true\n"
    )
    return file


def bringing(file: Path, state: Path, text: str, *words: str) -> Any:
    return isthmus("credentials", "import", "--cloud", "stack", "--config", str(file), *words, state=state, text=text)


def test_a_users_keys_are_kept_once_they_were_tried(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    done = bringing(configured, state, pair(demo))

    assert 0 == done.returncode, done.stderr
    assert f"The access key {demo.api} belongs to the account demo" in done.stdout
    assert demo.secret.encode() not in b"".join(one.read_bytes() for one in state.glob("isthmus.db*"))
    with serving(state, "--config", str(configured)) as service:
        for version in ("v4", "v2"):
            assert client(service, demo, signature_version=version).describe_images()["Images"]
        emulator.world.disabled.add(demo.user)
        with pytest.raises(ClientError, match="AuthFailure"):
            client(service, demo).describe_images()


def test_an_image_is_made_of_a_file_that_the_cloud_fetches(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    state, url = tmp_path / "state", "http://example.org/disk.qcow2"
    assert 0 == bringing(configured, state, pair(demo)).returncode
    said = ("--account", "demo", "--config", str(configured))

    made = isthmus("image", "import", url, "--sha256", "ab" * 32, *said, state=state)
    refused = isthmus("image", "import", url, "--format", "qcow2", *said, state=state)

    [(_, item)] = emulator.world.things["template"].values()
    assert (url, "disk.qcow2", False) == (item["url"], item["name"], item["ispublic"])
    assert made.stdout.strip() in isthmus("image", "list", *said, state=state).stdout, made.stderr
    assert "takes no --format" in refusal(refused)


def test_each_key_of_an_account_is_used_by_itself(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    second, state = emulator.world.new_pair(demo), tmp_path / "state"
    for one in (demo, second):
        assert 0 == bringing(configured, state, pair(one)).returncode
    del emulator.world.accounts[demo.api]

    with serving(state, "--config", str(configured)) as service:
        assert client(service, second).describe_images()["Images"]
        with pytest.raises(ClientError, match="AuthFailure"):
            client(service, demo).describe_images()
    assert 0 == isthmus("credentials", "revoke", second.api, state=state).returncode


def test_keys_that_cloudstack_does_not_take_are_not_kept(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    wrong = pair(demo).replace(demo.secret, "wrong")

    assert "does not take" in refusal(bringing(configured, tmp_path / "state", wrong))
    assert demo.api not in isthmus("credentials", "list", state=tmp_path / "state").stdout


def test_keys_are_kept_for_an_account_that_is_named(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    number = isthmus("account", "create", "blue", state=state).stdout.strip()

    assert f"the account blue ({number})" in bringing(configured, state, pair(demo), "--account", "blue").stdout


@pytest.mark.parametrize("imported", [True, False], ids=["the user's own keys", "keys of Isthmus"])
def test_an_account_is_a_project_of_the_users(
    imported: bool, emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    state, to = tmp_path / "state", ("--config", str(configured))
    project = emulator.world.new_project("blue", demo)
    isthmus("account", "create", "blue", state=state)
    tenant = ("account", "tenant", "blue", "stack", project.id, *to)
    if imported:
        assert 0 == isthmus(*tenant, state=state).returncode
        done = bringing(configured, state, pair(demo), "--account", "blue")
        signer = demo
    else:
        login = f"api_key={demo.api}\nsecret_key={demo.secret}\n"
        done = isthmus(*tenant, "--secrets", "-", state=state, text=login)
        made = isthmus("credentials", "create", "--account", "blue", "--format", "json", state=state).stdout
        issued = json.loads(made)["AccessKey"]
        signer = replace(demo, api=issued["AccessKeyId"], secret=issued["SecretAccessKey"])
    assert 0 == done.returncode, done.stderr

    with serving(state, *to) as service:
        client(service, signer).create_security_group(GroupName="own", Description="d")

    [group] = [one for _, one in emulator.world.things["group"].values() if one["name"] == "own"]
    assert (project.id, None) == (group["projectid"], group.get("account"))


def test_a_project_that_the_user_is_not_in_is_not_the_keys(
    emulator: Emulator, demo: Account, configured: Path, tmp_path: Path
) -> None:
    state, to = tmp_path / "state", ("--config", str(configured))
    project = emulator.world.new_project("blue", emulator.world.new_account("other"))
    isthmus("account", "create", "blue", state=state)
    assert 0 == isthmus("account", "tenant", "blue", "stack", project.id, *to, state=state).returncode

    assert "is another tenant" in refusal(bringing(configured, state, pair(demo), "--account", "blue"))
    login = f"api_key={demo.api}\nsecret_key={demo.secret}\n"
    words = ("account", "tenant", "blue", "stack", project.id, "--secrets", "-", *to)
    assert "not in this project" in refusal(isthmus(*words, state=state, text=login))


def test_a_cloud_that_is_no_cloudstack_is_told(configured: Path, demo: Account, tmp_path: Path) -> None:
    with configured.open("a") as settings:
        settings.write("[clouds.simulated]\nkind = 'memory'\n")
    words = ("credentials", "import", "--config", str(configured), "--cloud")

    for name, said in (("simulated", "is no CloudStack"), ("stak", "Did you mean 'stack'?")):
        assert said in refusal(isthmus(*words, name, state=tmp_path / "state", text=pair(demo)))


def test_a_subnet_that_its_groups_do_not_filter_is_told(tmp_path: Path) -> None:
    with emulating(groups=False) as emulator:
        world, state, file = emulator.world, tmp_path / "state", tmp_path / "isthmus.toml"
        user = world.new_account("demo")
        vpc = {"id": str(uuid4()), "name": "vpc", "account": user.name, "zonename": "zone-1", "tags": []}
        open_to_all = next(one["id"] for one in world.acl_lists if one["name"] == "default_allow")
        world.add(user, "vpc", vpc)
        tier = {"id": str(uuid4()), "name": "tier", "account": user.name, "zonename": "zone-1", "tags": []}
        world.add(user, "network", {**tier, "vpcid": vpc["id"], "vpcname": "vpc", "aclid": open_to_all})
        assert 0 == adding(emulator, user, file, "--name", "stack", state=state).returncode
        told = isthmus("cloud", "check", "--config", str(file), state=state)

    assert 1 == told.returncode, told.stderr
    assert "BROKEN    the subnet tier of the VPC vpc of demo is filtered by the list default_allow" in told.stdout
