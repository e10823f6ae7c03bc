"""A real botocore client in front of the whole AWS front, in one process and without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import machine_image
from house import House
from joined import demand_mended
from whole import demand_told

from isthmus.aws.front import SERVICES
from isthmus.context import Context
from isthmus.store.errors import StoreError


@pytest.fixture(scope="session", autouse=True)
def _strict() -> None:
    """Every answer of the run is held against the model."""
    for service in SERVICES.values():
        service.strict = True


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Houses with settings of a test's own."""
    houses: list[House] = []

    def make(url: str = "", **settings: Any) -> House:
        houses.append(House(url or f"sqlite:///{tmp_path}/isthmus-{len(houses)}.db", **settings))
        return houses[-1]

    yield make
    for house in houses:
        try:
            _demand_mended(house)
            _demand_wired(house)
        finally:
            house.store.close()


def _contexts(house: House) -> list[Context]:
    """All accounts of a house; none where a test broke the store on purpose."""
    try:
        return [Context(account.id, house.world.of(account.id)) for account in house.store.accounts()]
    except StoreError:
        return []


def _demand_mended(house: House) -> None:
    """Whatever a test did, listings that were mended change by change are what they would be if made anew."""
    with house.clock.stopped():
        for cx in _contexts(house):
            demand_mended(cx)


def _demand_wired(house: House) -> None:
    """Whatever a test did, the cloud was told how its networks are connected."""
    for cx in _contexts(house):
        demand_told(house, cx)


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    return build()


@pytest.fixture
def ec2(house: House) -> Any:
    return house.client()


@pytest.fixture
def stranger(house: House) -> Any:
    """The client of another account."""
    return house.client(account=house.new_account("second"))


@pytest.fixture
def image(ec2: Any) -> str:
    return machine_image(ec2)


@pytest.fixture
def launched(house: House, ec2: Any, image: str) -> str:
    """A running instance."""
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    house.settle()
    return str(made["Instances"][0]["InstanceId"])


@pytest.fixture
def vpc(ec2: Any) -> str:
    """A network of the account's own."""
    return str(ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"])


@pytest.fixture
def subnet(ec2: Any, vpc: str) -> str:
    return str(ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"])


@pytest.fixture
def gateway(ec2: Any, vpc: str) -> str:
    """The way to the internet of the network."""
    known = str(ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=known)
    return known
