"""`isthmus import ec2stack`, from files as ec2stack-configure and its migrations write them."""

from __future__ import annotations

import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from emulators.cloudstack.server import Emulator
from emulators.cloudstack.world import Account
from service import isthmus, serving

PROFILES = """[initial]
ec2stack_bind_address = localhost
ec2stack_port = 5000
cloudstack_host = 127.0.0.1
cloudstack_port = {port}
cloudstack_protocol = http
cloudstack_path = /client/api
cloudstack_custom_disk_offering = Custom
cloudstack_default_zone = zone-1

[initialinstancemap]
m1.small = Tiny
m1.large = Gone

[other]
cloudstack_host = 127.0.0.1
"""
CONSTANTS = """EC2STACK_BIND_ADDRESS = '0.0.0.0'
EC2STACK_PORT = '5000'
CLOUDSTACK_HOST = '127.0.0.1'
CLOUDSTACK_PORT = '{port}'
CLOUDSTACK_PROTOCOL = 'http'
CLOUDSTACK_PATH = '/client/api'
CLOUDSTACK_CUSTOM_DISK_OFFERING = 'Custom'
CLOUDSTACK_DEFAULT_ZONE = 'zone-1'
INSTANCE_TYPE_MAP = {{'m1.small': 'Tiny', 'm1.large': 'Gone'}}
"""
SCHEMA = """
create table users (apikey varchar(255) not null, secretkey varchar(255), primary key (apikey), unique (secretkey));
create table alembic_version (version_num varchar(32) not null);
insert into alembic_version values ('1b1a5f6b42a');
"""


@pytest.fixture
def gone(emulator: Emulator) -> Account:
    """Keys that were withdrawn since they were registered."""
    made = emulator.world.new_account("gone")
    del emulator.world.accounts[made.api]
    return made


class Old:
    """A directory of ec2stack's, and Isthmus's settings that are yet to be."""

    def __init__(self, place: Path, emulator: Emulator, form: str) -> None:
        self.directory, self.file, self.state = place / "ec2stack", place / "isthmus.toml", place / "state"
        self.directory.mkdir()
        port = emulator.url.split(":")[2].partition("/")[0]
        (self.directory / "ec2stack.conf").write_text(form.format(port=port))
        with closing(sqlite3.connect(self.directory / "ec2stack.sqlite")) as database:
            database.executescript(SCHEMA)

    def register(self, *users: Account) -> None:
        with closing(sqlite3.connect(self.directory / "ec2stack.sqlite")) as database, database:
            database.executemany("insert into users values (?, ?)", [(one.api, one.secret) for one in users])

    def take(self, *words: str) -> Any:
        given = ("--config", str(self.file), *words)
        return isthmus("import", "ec2stack", str(self.directory), *given, state=self.state)

    def taken(self, *words: str) -> dict[str, str]:
        """What is said of each key."""
        done = self.take(*words)
        assert 0 == done.returncode, done.stderr
        shown = done.stdout.partition("KEY ")[2].splitlines()[1:]
        return {key: said.strip() for key, _, said in (line.partition(" ") for line in shown)}


@pytest.fixture(params=[PROFILES, CONSTANTS], ids=["profiles", "constants"])
def old(request: Any, tmp_path: Path, emulator: Emulator) -> Old:
    return Old(tmp_path, emulator, request.param)


def test_settings_and_keys_are_taken_over(old: Old, emulator: Emulator, demo: Account, gone: Account) -> None:
    old.register(demo, gone)

    said = old.taken()

    assert said[demo.api].startswith("of the account demo (")
    assert said[gone.api].startswith("left: The cloud does not take")
    assert {
        "cloudstack": {
            "kind": "cloudstack",
            "url": emulator.url,
            "zones": {"us-east-1a": "zone-1"},
            "security_groups": True,
            "flavors": {"m1.small": "Tiny"},
            "volume_types": {"gp3": "Custom", "gp2": "Custom", "standard": "Custom"},
        }
    } == tomllib.loads(old.file.read_text())["clouds"]
    listed = isthmus("credentials", "list", state=old.state).stdout
    assert (True, False) == (demo.api in listed, gone.api in listed)


def test_clients_of_ec2stack_go_on_with_their_keys(old: Old, demo: Account) -> None:
    """It took signatures of version 2 alone."""
    old.register(demo)
    old.taken()

    with serving(old.state, "--config", str(old.file)) as service:
        for version in ("v2", "v4"):
            settings = Config(signature_version=version, retries={"total_max_attempts": 1}, proxies={})
            session = boto3.Session(demo.api, demo.secret, region_name="us-east-1")
            ec2 = session.client("ec2", endpoint_url=f"http://127.0.0.1:{service.port}", config=settings)
            types = ec2.describe_instance_types(InstanceTypes=["m1.small"])["InstanceTypes"]
            assert [512] == [one["MemoryInfo"]["SizeInMiB"] for one in types]


def test_taking_over_again_takes_what_is_new(old: Old, emulator: Emulator, demo: Account) -> None:
    old.register(demo)
    old.taken()
    before = old.file.read_text()
    new = emulator.world.new_account("new")
    old.register(new)

    said = old.taken()

    assert said[demo.api].endswith("already")
    assert said[new.api].startswith("of the account new (")
    assert before == old.file.read_text()


def test_a_dry_run_takes_nothing(old: Old, demo: Account) -> None:
    old.register(demo)

    assert {demo.api: "of the account demo"} == old.taken("--dry-run")

    assert not old.file.exists()
    assert not old.state.exists()


def test_secrets_are_not_shown(old: Old, demo: Account, gone: Account) -> None:
    old.register(demo, gone)

    for words in (("--dry-run",), ()):
        done = old.take(*words)
        assert not any(one.secret in done.stdout + done.stderr for one in (demo, gone))
    assert "m1.large is left out: there is no service offering Gone" in old_notes(old, demo)


def old_notes(old: Old, demo: Account) -> str:
    old.file.unlink()
    return str(old.take("--dry-run").stderr)


def test_without_a_good_key_nobody_can_be_asked(old: Old, gone: Account) -> None:
    old.register(gone)

    assert "None of the 1 registered keys is good" in old.take().stderr
    assert not old.file.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("zone-1", "zone-9"), "no zone zone-9"),
        (("cloudstack_default_zone", "x"), "does not say cloudstack_default_zone"),
        (("[initial]", "[first]"), "no profile initial"),
        (("[initial]", "[initial"), "no INI file"),
    ],
)
def test_settings_that_cannot_be_are_told(
    tmp_path: Path, emulator: Emulator, demo: Account, change: tuple[str, str], said: str
) -> None:
    old = Old(tmp_path, emulator, PROFILES.replace(*change))
    old.register(demo)

    done = old.take()

    assert 1 == done.returncode
    assert said in done.stderr
    assert not old.file.exists()


def test_what_is_not_there_is_told(tmp_path: Path, emulator: Emulator) -> None:
    old = Old(tmp_path, emulator, PROFILES)
    assert "--config isthmus.toml" in isthmus("import", "ec2stack", str(old.directory), state=old.state).stderr
    (old.directory / "ec2stack.sqlite").write_text("no database")
    assert "cannot be read" in old.take().stderr
    (old.directory / "ec2stack.sqlite").unlink()
    assert "There is no " in old.take().stderr
    (old.directory / "ec2stack.conf").unlink()
    assert "cannot be read" in old.take().stderr
