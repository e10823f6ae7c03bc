"""The OpenStack that `make test-openstack` brings up: where it is, whether it is, and who has keys to it."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from service import Service

STATE = Path(os.environ.get("OPENSTACK_STATE", "/var/tmp/isthmus-openstack"))
CLOUDS_YAML = STATE / "clouds.yaml"
"""Its clouds: `demo`, `alt` and `admin`, and `gateway`, the service's own user."""


@dataclass(frozen=True)
class Keys:
    """A user's EC2 keys, and the native ids of whom they speak for."""

    access: str
    secret: str
    user_id: str
    tenant_id: str


def seeded(name: str) -> Keys:
    """The keys of `demo`, `alt` or `admin`."""
    return Keys(**json.loads((STATE / f"ec2-{name}.json").read_text()))


def region(name: str) -> Any:
    """A cloud of clouds.yaml as openstacksdk sees it: it makes sessions and connections."""
    from openstack.config import OpenStackConfig  # slow, and not for every run of tests

    return OpenStackConfig(config_files=[str(CLOUDS_YAML)], load_envvars=False).get_one(name)


def connection(name: str) -> Any:
    """The same, signed in: what it does is done without Isthmus."""
    from openstack.connection import Connection

    return Connection(config=region(name))


def signed_by(service: Service, keys: Keys, **more: Any) -> Any:
    """A client of an Isthmus, with Keystone's own keys."""
    url = f"http://127.0.0.1:{service.port}"
    session = boto3.Session(keys.access, keys.secret, region_name="us-east-1")
    return session.client("ec2", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}, **more))


def settings(more: str = "") -> str:
    """Those of an Isthmus in front of the cloud; `more` is said of the cloud."""
    return (
        "[clouds.private]\nkind = 'openstack'\nzones = { us-east-1a = 'nova' }\n"
        f"cloud = 'gateway'\nclouds_yaml = '{CLOUDS_YAML}'\n{more}"
    )


def login(name: str) -> dict[str, str]:
    """What a user signs in with, in the user's own project."""
    said = region(name).config["auth"]
    return {"username": said["username"], "password": said["password"], "project_id": seeded(name).tenant_id}


def launch(ec2: Any) -> dict[str, Any]:
    """What the smallest launch is asked for with."""
    [image] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["tiny"]}])["Images"]
    return {"ImageId": image["ImageId"], "InstanceType": "m1.nano", "MinCount": 1, "MaxCount": 1}


def launched_natively(there: Any, **more: Any) -> str:
    """A new server in the seeded network, by a connection of openstacksdk's: its native id."""
    said = {"image_id": there.image.find_image("tiny").id, "flavor_id": there.compute.find_flavor("m1.nano").id}
    where = {"networks": [{"uuid": there.network.find_network("demo-net").id}]}
    return str(there.compute.create_server(name="native", **{**said, **where, **more}).id)


def image_of_a_volume(ec2: Any, name: str, device: str) -> tuple[str, str, str]:
    """A new image whose instances have a volume as their root device; with its snapshot, and the volume of that."""
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig={"Delay": 1})
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    root = {"DeviceName": device, "Ebs": {"SnapshotId": snapshot}}
    image = ec2.register_image(Name=name, RootDeviceName=device, BlockDeviceMappings=[root])["ImageId"]
    return image, snapshot, volume


def until(look: Callable[[], Any], wanted: Any, seconds: float = 120) -> None:
    """Look until what is wanted is seen."""
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} and not {wanted} after {seconds} s"
        time.sleep(0.5)


def auth_url() -> str:
    return str(region("gateway").config["auth"]["auth_url"])


def server_at(name: str, address: str) -> str:
    """The native id of a user's server by its private address."""
    [found] = [one.id for one in connection(name).compute.servers() if f"'{address}'" in str(one.addresses)]
    return str(found)


def compute() -> str:
    """What servers are: `fake`, or `libvirt` for guests that boot."""
    return (STATE / "compute").read_text().strip()


def metadata_secret() -> str:
    """What its metadata agent shares with who it asks."""
    settings = (STATE / "etc" / "neutron_ovn_metadata_agent.ini").read_text()
    return next(line.partition("=")[2].strip() for line in settings.splitlines() if "shared_secret" in line)


def as_agent(at: str, path: str, native: str, tenant: str, secret: str) -> httpx.Response:
    """What a metadata service answers to an agent that asks for a server."""
    signature = hmac.new(secret.encode(), native.encode(), hashlib.sha256).hexdigest()
    said = {"X-Instance-ID": native, "X-Tenant-ID": tenant, "X-Instance-ID-Signature": signature}
    return httpx.get(f"http://{at}{path}", headers=said, timeout=60, trust_env=False)


def absent() -> str:
    """Why there is no such cloud to test with, or empty."""
    if not CLOUDS_YAML.exists() or not (STATE / "ec2-demo.json").exists():
        return f"no OpenStack is up here, there is none in {STATE} (make test-openstack)"
    try:
        httpx.get(auth_url(), timeout=5)
    except httpx.HTTPError as error:
        return f"no OpenStack is up here, {auth_url()} does not answer: {error} (make test-openstack)"
    return ""


class SignedIn:
    """A cloud whose sessions are those of the seeded users, by their projects."""

    def __init__(self, cloud: Any) -> None:
        self._cloud = cloud
        self._secrets = {seeded(name).tenant_id: login(name) for name in ("demo", "alt")}

    def session(self, tenant: str, _: object = None) -> Any:
        return self._cloud.session(tenant, self._secrets.get(tenant, {}))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)
