"""Runs every rule against every cloud asked for: `pytest tests/conformance --cloud memory --cloud local`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from isthmus.model import Flavor, Image, ImageKind, ImageState, Port, Server, ServerState
from isthmus.providers import Capability, Cloud, DiskSpec, ServerSpec

from .clouds import CLOUDS, DEFAULT
from .kit import RUN, Maker, Patience, first_port, missing, root_disk, word

BOOTING = {"base", "running", "stopped", "doomed"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cloud", action="append", choices=sorted(CLOUDS), help="a cloud to test; can be repeated")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*names): the families and capabilities that a rule is about")
    config.addinivalue_line("markers", "boots: makes servers by other means than the shared fixtures")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cloud" in metafunc.fixturenames:
        # The option is unknown when the suite is run as a part of all tests.
        names = metafunc.config.getoption("--cloud", default=None) or DEFAULT
        metafunc.parametrize("cloud", names, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        cloud = CLOUDS.get(params.get("cloud", ""))
        booting = item.get_closest_marker("boots") or BOOTING & set(getattr(item, "fixturenames", ()))
        if cloud and cloud.boots and booting:
            item.add_marker(pytest.mark.qemu)


@pytest.fixture(scope="session")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    candidate = CLOUDS[request.param]
    made = candidate.make(tmp_path_factory.mktemp(request.param))
    yield made
    for tenant in candidate.tenants:
        session = made.session(tenant)
        if session.compute is not None:
            for server in session.compute.list_servers():
                if server.ref.startswith(RUN):
                    session.compute.delete_server(server.native, force=True)
    made.close()
    candidate.clean(made)


@pytest.fixture(scope="session")
def patience(cloud: Cloud) -> Patience:
    return Patience(CLOUDS[cloud.name])


@pytest.fixture(scope="session")
def session(cloud: Cloud) -> Any:
    return cloud.session(CLOUDS[cloud.name].tenants[0])


@pytest.fixture(scope="session")
def other(cloud: Cloud) -> Any:
    """Another tenant's session."""
    return cloud.session(CLOUDS[cloud.name].tenants[1])


@pytest.fixture(autouse=True)
def _applies(request: pytest.FixtureRequest) -> None:
    """Skip where the cloud lacks what the rule is about: that it says so is rule R13."""
    if "cloud" not in request.fixturenames:
        return
    cloud, session = request.getfixturevalue("cloud"), request.getfixturevalue("session")
    needs = [need for mark in request.node.iter_markers("needs") for need in mark.args]
    if BOOTING & set(request.fixturenames):
        needs += ["compute", Capability.LAUNCH]
    if reason := missing(cloud, session, tuple(needs)):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def zone(session: Any) -> str:
    return str(session.compute.list_zones()[0].name)


@pytest.fixture(scope="session")
def flavor(session: Any) -> Flavor:
    """The smallest."""
    flavors: list[Flavor] = session.compute.list_flavors()
    return min(flavors, key=lambda flavor: (flavor.memory, flavor.cpus))


@pytest.fixture(scope="session")
def machines(session: Any) -> list[Image]:
    """The machine images that are no Windows, those whose root disk is a volume first."""
    found = [
        one
        for one in session.images.list_images()
        if one.kind is ImageKind.MACHINE and one.state is ImageState.AVAILABLE and not one.platform
    ]
    return sorted(found, key=lambda image: image.local_root)


@pytest.fixture(scope="session")
def image(machines: list[Image]) -> Image:
    if not machines:
        pytest.skip("the cloud has no machine image")
    return machines[0]


@pytest.fixture(scope="session")
def local_image(machines: list[Image]) -> Image:
    if not machines or not machines[-1].local_root:
        pytest.skip("the cloud has no image whose root disk is no volume")
    return machines[-1]


@pytest.fixture(scope="session")
def hosts(cloud: Cloud, plain: ServerSpec, patience: Patience, session: Any, other: Any) -> Iterator[Hosts]:
    made = Hosts(Capability.SNAPSHOT_UNUSED in cloud.lacks, plain, patience)
    yield made
    made.clear()


@pytest.fixture
def made(session: Any, patience: Patience, zone: str, hosts: Hosts) -> Iterator[Maker]:
    """Makes things of the tenant; they are cleared away after the test."""
    maker = Maker(session, patience, zone, partial(hosts.of, session))
    yield maker
    maker.clear()


@pytest.fixture
def theirs(other: Any, patience: Patience, zone: str, hosts: Hosts) -> Iterator[Maker]:
    """Makes things of the other tenant."""
    maker = Maker(other, patience, zone, partial(hosts.of, other))
    yield maker
    maker.clear()


@pytest.fixture(scope="session")
def kept(session: Any, patience: Patience, zone: str, hosts: Hosts) -> Iterator[Maker]:
    """Makes things that stay for all tests."""
    maker = Maker(session, patience, zone, partial(hosts.of, session))
    yield maker
    maker.clear()


@pytest.fixture(scope="session")
def plain(image: Image, flavor: Flavor, zone: str) -> ServerSpec:
    """The spec of a server with nothing but a root disk; to be given a ref of its own."""
    return ServerSpec(word(), "conformance", image.native, flavor.native, zone, (root_disk(image),))


@dataclass(frozen=True)
class Hosts:
    """Servers for volumes to have been on, where a cloud snapshots no others: one of each tenant that needs one."""

    needed: bool
    spec: ServerSpec
    patience: Patience
    made: dict[int, Maker] = field(default_factory=dict)
    natives: dict[int, str] = field(default_factory=dict)

    def of(self, session: Any) -> str:
        """The native id of a tenant's, or empty where none is needed."""
        if not self.needed:
            return ""
        if id(session) not in self.natives:
            maker = self.made[id(session)] = Maker(session, self.patience, self.spec.zone, str)
            server = maker.server(replace(self.spec, ref=word(), disks=(root_disk_of(self.spec),)))
            self.natives[id(session)] = self.patience.server(session, server.native, ServerState.RUNNING).native
        return self.natives[id(session)]

    def clear(self) -> None:
        for maker in self.made.values():
            maker.clear()


@dataclass(frozen=True)
class Base:
    """The server that all tests share."""

    spec: ServerSpec
    first: Server
    """As its creation answered."""

    @property
    def native(self) -> str:
        return self.first.native


@pytest.fixture(scope="session")
def base(plain: ServerSpec, kept: Maker) -> Base:
    session = kept.session
    data = DiskSpec(word(), "/dev/sdb", 1, delete_with_server=False)
    spec = replace(
        plain,
        ref=word(),
        disks=(root_disk_of(plain), data),
        key="" if session.keys is None else kept.key().native,
        firewalls=() if session.firewalls is None else (kept.firewall().native,),
    )
    first = kept.server(spec)
    kept.patience.server(session, first.native, ServerState.RUNNING)
    return Base(spec, first)


@pytest.fixture
def running(base: Base, session: Any, patience: Patience) -> str:
    """The shared server, running."""
    [server] = session.compute.list_servers([base.native])
    if server.state is not ServerState.RUNNING:
        session.compute.start_server(base.native)
        patience.server(session, base.native, ServerState.RUNNING)
    return base.native


@pytest.fixture
def stopped(base: Base, session: Any, patience: Patience) -> str:
    """The shared server, stopped."""
    [server] = session.compute.list_servers([base.native])
    if server.state is not ServerState.STOPPED:
        session.compute.stop_server(base.native)
        patience.server(session, base.native, ServerState.STOPPED)
    return base.native


@pytest.fixture
def port(request: pytest.FixtureRequest, cloud: Cloud, session: Any, made: Maker) -> Port:
    """One of its own, where a cloud has such; else that of the shared server."""
    if Capability.PORTS not in cloud.lacks:
        return made.port()
    native = first_port(session, request.getfixturevalue("running"))
    return next(one for one in session.ports.list_ports() if one.native == native)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Doomed:
    """A server that eight threads made with one ref, and that was deleted: what was seen on the way."""

    spec: ServerSpec
    answers: tuple[Server, ...]
    running: Server
    gone_volume: str
    freed_volume: str
    address: str
    just_deleted: tuple[Server, ...]


@pytest.fixture(scope="session")
def doomed(plain: ServerSpec, kept: Maker) -> Doomed:
    session, patience = kept.session, kept.patience
    data = DiskSpec(word(), "/dev/sdb", 1, delete_with_server=False)
    spec = replace(plain, ref=word(), disks=(root_disk_of(plain), data))
    with ThreadPoolExecutor(8) as threads:
        answers = tuple(threads.map(lambda _: kept.server(spec), range(8)))
    native = answers[0].native
    running = patience.server(session, native, ServerState.RUNNING)
    volumes = {} if session.volumes is None else {one.ref: one.native for one in session.volumes.list_volumes()}
    address = "" if session.addresses is None else kept.address().native
    if address:
        session.addresses.associate_address(address, first_port(session, native))
    session.compute.delete_server(native)
    just_deleted = tuple(session.compute.list_servers([native]))
    patience.gone(lambda: session.compute.list_servers([native]), native)
    return Doomed(
        spec=spec,
        answers=answers,
        running=running,
        gone_volume=volumes.get(spec.disks[0].ref, ""),
        freed_volume=volumes.get(spec.disks[1].ref, ""),
        address=address,
        just_deleted=just_deleted,
    )


def root_disk_of(spec: ServerSpec) -> DiskSpec:
    return replace(spec.disks[0], ref=word())
