"""A CloudStack to run suites against: the emulator with two accounts, and Isthmus' cloud, which knows their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from emulators.cloudstack.server import Emulator, running
from emulators.cloudstack.world import Account, World, world
from house import House
from house import World as Sight
from served import Account as Signer
from served import eventually, serving

from isthmus.context import Place
from isthmus.model import Direction, Rule, ServerState
from isthmus.providers import NO_SECRETS, DiskSpec, FirewallSpec, NetworkSpec, ServerSpec, SubnetSpec
from isthmus.providers.cloudstack import CloudStack, Options
from isthmus.providers.cloudstack.client import Wire
from isthmus.providers.cloudstack.signing import Keys

NAMES = ("conformance-a", "conformance-b")
TENANTS = (str(uuid4()), str(uuid4()))
JOB_SECONDS = 0.02
"""How long jobs take: what is being made is seen to be."""


def fresh_ref(word: str = "x") -> str:
    return f"{word}-{uuid4().hex[:17]}"


def server_spec(session: Any, name: str = "", **more: Any) -> ServerSpec:
    """A server of the first image and flavor, with its root disk."""
    [image, *_] = session.images.list_images()
    [flavor, *_] = session.compute.list_flavors()
    root = DiskSpec(fresh_ref("vol"), image.root_device, 0, root=True)
    return ServerSpec(fresh_ref("i"), name, image.native, flavor.native, "zone-1", (root,), **more)


def launched(stack: Emulated, session: Any, **more: Any) -> str:
    """The native id of a new server that runs."""
    native = str(session.compute.create_server(server_spec(session, **more)).native)

    def state() -> ServerState:
        stack.settle()
        [server] = session.compute.list_servers([native])
        return server.state  # type: ignore[no-any-return]

    eventually(state, lambda one: one is ServerState.RUNNING)
    return native


def secrets_of(account: Account) -> Mapping[str, str]:
    """What an operator keeps for an account."""
    return {"api_key": account.api, "secret_key": account.secret}


class Around(Wire):
    """A wire around another one, to which it hands on everything."""

    def __init__(self, whole: Wire) -> None:
        self._whole = whole

    def post(self, keys: Keys, params: Mapping[str, str]) -> httpx.Response:
        return self._whole.post(keys, params)

    def said(self, keys: Keys, params: Mapping[str, str], answer: httpx.Response) -> dict[str, Any]:
        return self._whole.said(keys, params, answer)

    def close(self) -> None:
        self._whole.close()


@contextmanager
def emulating(*, groups: bool | Sequence[bool], kinds: Sequence[str] = ("Advanced",)) -> Iterator[Emulator]:
    """An emulator with zones of these kinds. What it has said itself is by the contract."""
    with running(Emulator(world(groups=groups, kinds=kinds))) as made:
        yield made
    assert not made.world.complaints, sorted(set(made.world.complaints))


class Emulated:
    """A cloud on an emulator of its own, whose sessions need no secrets.

    With `project` the first tenant is no account, but a project that the second one is in.
    """

    def __init__(
        self, name: str, *, groups: bool, kinds: Sequence[str] = ("Advanced",), project: bool = False, **options: Any
    ) -> None:
        self._stack = ExitStack()
        self.emulator = self._stack.enter_context(emulating(groups=groups, kinds=kinds))
        self.emulator.world.job_seconds = JOB_SECONDS
        self.emulator.world.users_expunge = not groups
        accounts = [
            self.emulator.world.new_account(name, known="" if project and known == TENANTS[0] else known)
            for name, known in zip(NAMES, TENANTS, strict=True)
        ]
        if project:
            self.emulator.world.new_project("a-project", accounts[1], known=TENANTS[0])
            accounts[0] = accounts[1]
        self._secrets = dict(zip(TENANTS, map(secrets_of, accounts), strict=True))
        self._options = Options(self.emulator.url, security_groups=groups, expunge=not groups, **options)
        self._cloud = self._opened(name)

    def _opened(self, name: str) -> CloudStack:
        made = CloudStack(name, [one["name"] for one in self.emulator.world.zones], self._options)
        self._stack.callback(made.close)
        return made

    def session(self, tenant: str, _: Mapping[str, Any] = NO_SECRETS) -> Any:
        return self._cloud.session(tenant, self._secrets[tenant])

    def beside(self, tenant: str) -> Any:
        """The session of another process."""
        return self._opened(self._cloud.name).session(tenant, self._secrets[tenant])

    def begin_again(self) -> CloudStack:
        """As a new process begins: without anything but what CloudStack and the store know."""
        self._cloud = self._opened(self._cloud.name)
        return self._cloud

    def settle(self) -> None:
        """Let all jobs come to their ends."""
        self.emulator.world.pass_by(JOB_SECONDS)
        with self.emulator.world.lock:
            self.emulator.world.run_jobs()

    def close(self) -> None:
        self._stack.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)


class Isthmus(House):
    """An Isthmus over an emulated CloudStack, with an account for each of its two."""

    def __init__(self, url: str, *, groups: bool, **options: Any) -> None:
        self.real: Any = Emulated("stack", groups=groups, **options)
        super().__init__(url)
        self.other = self.new_account("second")
        for account, tenant in zip((self.account, self.other), TENANTS, strict=True):
            self.store.set_tenant(account[0], "stack", tenant)

    @property
    def emulated(self) -> World:
        found: World = self.real.emulator.world
        return found

    def new_world(self, **limits: Any) -> Sight:
        zones = {f"us-east-1{letter}": zone for letter, zone in zip("ab", self.real.zones, strict=False)}
        places = {ours: Place(ours, "stack", theirs) for ours, theirs in zones.items()}
        return replace(super().new_world(**limits), places=places, clouds={"stack": self.real})

    def wait(self, ec2: Any, instance: str, state: str) -> None:
        """Until an instance is in a state."""

        def now() -> str:
            self.real.settle()
            found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
            return str(found[0]["State"]["Name"])

        eventually(now, lambda said: said == state)


@contextmanager
def fronted(place: Path, *, groups: bool, **options: Any) -> Iterator[Isthmus]:
    """An Isthmus over an emulated CloudStack, with the cloud's further `options`."""
    made = Isthmus(f"sqlite:///{place}/isthmus.db", groups=groups, **options)
    try:
        yield made
    finally:
        made.store.close()
        made.real.close()


@contextmanager
def serving_users(place: Path, *, groups: bool, users: int = 1, job_seconds: float = 0.1) -> Iterator[Sequence[Signer]]:
    """`isthmus serve` over an emulated CloudStack, with an administrator's keys: users who sign with their own."""
    with emulating(groups=groups) as stack:
        stack.world.job_seconds = job_seconds
        stack.world.users_expunge = True
        root = stack.world.new_account("root", "Admin")
        known = [stack.world.new_account(f"user-{number}") for number in range(users)]
        (place / "root.secret").write_text(root.secret)
        (place / "isthmus.toml").write_text(
            f'[clouds.stack]\nkind = "cloudstack"\nurl = "{stack.url}"\nzones = {{ us-east-1a = "zone-1" }}\n'
            f'api_key = "{root.api}"\nsecret_key_file = "{place}/root.secret"\nexpunge = true\n'
            f"security_groups = {str(groups).lower()}\n"
        )
        with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
            yield [Signer("", one.api, one.secret, served.endpoint) for one in known]


def two_subnets(session: Any) -> tuple[list[str], str]:
    """Subnets of a new VPC, 10.77.0.0/24 and 10.77.1.0/24, and a group of it whose members let each other in by ssh."""
    network = session.networks.create_network(NetworkSpec(fresh_ref(), "n", "10.77.0.0/16")).native
    subnets = [
        session.networks.create_subnet(SubnetSpec(fresh_ref(), "s", network, f"10.77.{n}.0/24", "zone-1")).native
        for n in range(2)
    ]
    group = session.firewalls.create_firewall(FirewallSpec(fresh_ref(), "g", "d", network)).native
    session.firewalls.add_rules(group, [Rule(Direction.INGRESS, "tcp", 22, 22, peer=group)])
    return subnets, group
