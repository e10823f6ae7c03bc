"""What tests of a real OpenStack need; without one they are skipped, all of them. This directory must be no package:
with an `__init__.py` it would be what `import openstack` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import real_openstack
from house import House
from real_openstack import Keys

from isthmus.aws.front import Front
from isthmus.context import Place, World


@pytest.fixture(autouse=True, scope="session")
def _up() -> None:
    if reason := real_openstack.absent():
        pytest.skip(reason)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What stops services comes last."""
    items.sort(key=lambda item: item.path.name.startswith("test_faults"))


@pytest.fixture(scope="session")
def clouds_yaml() -> Path:
    """Its clouds are `demo`, `alt`, `admin`, and `gateway`, the service's own user."""
    return real_openstack.CLOUDS_YAML


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The settings of an Isthmus in front of the cloud."""
    file = tmp_path / "isthmus.toml"
    file.write_text(real_openstack.settings())
    return file


@pytest.fixture(scope="session")
def demo() -> Keys:
    return real_openstack.seeded("demo")


@pytest.fixture(scope="session")
def alt() -> Keys:
    """Keys of another project."""
    return real_openstack.seeded("alt")


@pytest.fixture(scope="session")
def gateway() -> Any:
    """A keystoneauth session of the service's own user."""
    return real_openstack.region("gateway").get_session()


class Calls:
    """Notes what is asked of the cloud's services."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, send: Any) -> Any:
        def counted(client: Any, method: str, service: str, path: str, *given: Any, **named: Any) -> Any:
            self.made.append(f"{method} {service} {path}")
            return send(client, method, service, path, *given, **named)

        return counted


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    from isthmus.providers.openstack.client import Client

    made = Calls()
    monkeypatch.setattr(Client, "_ask", made(Client._ask))
    return made


class Isthmus(House):
    """An Isthmus over the real OpenStack, with an account each for the projects of `demo` and `alt`."""

    def __init__(self, url: str, **options: Any) -> None:
        from isthmus.providers.openstack import OpenStack, Options

        said = Options(cloud="gateway", clouds_yaml=str(real_openstack.CLOUDS_YAML), **options)
        self.real = real_openstack.SignedIn(OpenStack("openstack", ("nova",), said))
        super().__init__(url)
        self.alt = self.new_account("alt")
        for account, name in ((self.account, "demo"), (self.alt, "alt")):
            self.store.set_tenant(account[0], "openstack", real_openstack.seeded(name).tenant_id)

    def new_world(self, **limits: Any) -> World:
        places = {"us-east-1a": Place("us-east-1a", "openstack", "nova")}
        return replace(super().new_world(**limits), places=places, clouds={"openstack": self.real})


@pytest.fixture(scope="session")
def isthmus(_up: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isthmus]:
    house = Isthmus(f"sqlite:///{tmp_path_factory.mktemp('openstack')}/isthmus.db")
    yield house
    house.store.close()


@pytest.fixture
def fresh(_up: None, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes clients of the project `demo`, each of an Isthmus that has seen nothing yet, with options of the cloud."""
    houses: list[Isthmus] = []

    def make(**options: Any) -> Any:
        houses.append(Isthmus(f"sqlite:///{tmp_path}/fresh-{len(houses)}.db", **options))
        return houses[-1].client()

    yield make
    for one in houses:
        one.store.close()
        one.real.close()


@pytest.fixture
def natively() -> Iterator[Callable[..., list[str]]]:
    """Launches so many servers with Nova's own tools, and says their native ids; with 0 all are deleted."""
    made, nova = [], real_openstack.connection("demo")

    def launch(number: int, **more: Any) -> list[str]:
        new = [real_openstack.launched_natively(nova, **more) for _ in range(number)]
        made.extend(new)
        for one in new:
            nova.compute.wait_for_server(nova.compute.get_server(one), wait=120)
        if not number:
            for one in made:
                nova.compute.delete_server(one)
            real_openstack.until(lambda: [one for one in made if nova.compute.find_server(one)], [])
        return new

    yield launch
    launch(0)


@pytest.fixture(scope="session")
def ec2(isthmus: Isthmus) -> Any:
    """A client of the project `demo`."""
    return isthmus.client()


@pytest.fixture(scope="session")
def their_ec2(isthmus: Isthmus) -> Any:
    """A client of the project `alt`."""
    return isthmus.client(account=isthmus.alt)


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[Callable[[Any], House]]:
    """An Isthmus in front of a cloud that knows nobody by itself, but whom Keystone knows."""
    houses: list[House] = []

    def make(cloud: Any) -> House:
        made = House(f"sqlite:///{tmp_path}/fronted-{len(houses)}.db")
        places = {"us-east-1a": Place("us-east-1a", "openstack", "nova")}
        made.front = Front(World("us-east-1", places, {"openstack": cloud}, made.store, made.clock))
        houses.append(made)
        return made

    yield make
    for one in houses:
        one.store.close()
