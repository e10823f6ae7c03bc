"""What the emulator's cloud is: accounts and what they have, jobs, a clock that tests move, and what is to go wrong."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any
from uuid import uuid4

from emulators.cloudstack.contract import commands

Item = dict[str, Any]
STAMP = "%Y-%m-%dT%H:%M:%S+0000"
"""How CloudStack says a time."""
CUT, SILENT, NEVER = "the connection is cut", "no answer", "a job that never ends"
PUBLIC = ("203.0.113.", "198.51.100.")
"""How public addresses begin, zone by zone."""
DOMAIN = "5f0c1f0e-7a51-4f6c-9d3e-3a9a0c0d0e0f"
"""Of all accounts."""
_DEBIAN = str(uuid4())
"""The kind of system on the operator's templates."""
EXPUNGED = timedelta(days=1)
"""How long what was destroyed is still held: `expunge.delay`."""


class Refusal(Exception):
    """An error of CloudStack's: its code, which is the HTTP status too, its text, and its second code."""

    def __init__(self, code: int, text: str, cs: int = 9999) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.cs = cs

    def said(self) -> Item:
        return {"uuidList": [], "errorcode": self.code, "cserrorcode": self.cs, "errortext": self.text}


@dataclass(frozen=True)
class Account:
    id: str
    user: str
    name: str
    role: str
    api: str
    secret: str


@dataclass
class Project:
    """`account` is what CloudStack has for its things: no user is of it."""

    id: str
    name: str
    account: Account
    members: set[str]
    """Ids of accounts."""

    @property
    def said(self) -> Item:
        return {"projectid": self.id, "project": self.name}


@dataclass
class Job:
    id: str
    command: str
    account: str
    due: datetime | None
    """None: it never ends."""
    finish: Callable[[], Item]
    fail: Callable[[], object]
    instance: str = ""
    result: Item | None = None
    failed: bool = False

    def run(self) -> None:
        try:
            self.result = self.finish()
        except Refusal as refusal:
            self.fail()
            self.result, self.failed = {"errorcode": 530, "errortext": refusal.text}, True


@dataclass
class World:
    """A cloud in whose zones machines have security groups, or networks of their own."""

    zones: list[Item]
    networks: list[Item]
    """Those that all accounts share: one in each zone that has security groups."""
    disk_offerings: list[Item]
    service_offerings: list[Item]
    templates: list[Item]
    vpc_offerings: list[Item]
    network_offerings: list[Item]
    os_types: list[Item]
    acl_lists: list[Item]
    """Those of all VPCs."""
    hypervisors: tuple[str, ...] = ("KVM",)
    job_seconds: float = 0
    users_expunge: bool = False
    """`allow.user.expunge.recover.vm`."""
    accounts: dict[str, Account] = field(default_factory=dict)
    """By their API keys."""
    projects: dict[str, Project] = field(default_factory=dict)
    """By their ids."""
    things: defaultdict[str, dict[str, tuple[str, Item]]] = field(default_factory=lambda: defaultdict(dict))
    """By kind and id, each with its account's id."""
    destroyed: dict[str, datetime] = field(default_factory=dict)
    """Machines, and when they were."""
    user_data: dict[str, str] = field(default_factory=dict)
    """Of machines, in base64."""
    public_keys: dict[str, str] = field(default_factory=dict)
    """Of key pairs, by their ids: nobody is told them."""
    passwords: dict[str, str] = field(default_factory=dict)
    """Of machines whose template makes one, as their key pairs encrypt them."""
    jobs: dict[str, Job] = field(default_factory=dict)
    faults: dict[str, list[Refusal | str]] = field(default_factory=dict)
    """What goes wrong with the next calls of a command; with its jobs, by `NAME job`."""
    asked: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    """Where the emulator's own answers, and the results of its jobs, are not by the contract."""
    shared: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Names of accounts that may use a template, by its id."""
    several_zones: dict[str, list[Item]] = field(default_factory=dict)
    """Of an account's template or snapshot that is in several zones, by its id: it is listed once for each."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    disabled: set[str] = field(default_factory=set)
    """Ids of users and accounts that may do nothing."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """Roles, each with a command in small letters that it is not to have."""
    late: timedelta = timedelta(0)
    addresses: int = 1
    throttled: tuple[int, float] | None = None
    """`api.throttling`: the calls that an account may make, and in how many seconds of real time. None: any."""
    windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    """When the present one of each account ends, and the calls that it has seen."""

    @property
    def with_groups(self) -> bool:
        """Whether there are zones with security groups."""
        return any(one["securitygroupsenabled"] for one in self.zones)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.late

    def stamp(self) -> str:
        """Now, as CloudStack says it."""
        return self.now().strftime(STAMP)

    def count(self, account: Account) -> None:
        """A call of an account, or the refusal of one too many."""
        if self.throttled is None:
            return
        most, seconds = self.throttled
        now = time.monotonic()
        ends, seen = self.windows.get(account.id, (0.0, 0))
        if ends <= now:
            ends, seen = now + seconds, 0
        self.windows[account.id] = ends, seen + 1
        if seen >= most:
            left = int((ends - now) * 1000) + 1
            text = f"The given user has reached his/her account api limit, please retry after {left} ms."
            raise Refusal(429, text, 4545)

    def pass_by(self, seconds: float) -> None:
        """Let time go by at once."""
        self.late += timedelta(seconds=seconds)

    def new_account(self, name: str, role: str = "User", known: str = "") -> Account:
        made = Account(known or str(uuid4()), str(uuid4()), name, role, f"api-{uuid4().hex}", f"secret~{uuid4().hex}")
        self.accounts[made.api] = made
        return made

    def new_pair(self, account: Account) -> Account:
        """Further keys of a user's, as CloudStack has them since 4.23."""
        made = replace(account, api=f"api-{uuid4().hex}", secret=f"secret~{uuid4().hex}")
        self.accounts[made.api] = made
        return made

    def new_project(self, name: str, owner: Account, known: str = "") -> Project:
        own = Account(str(uuid4()), "", f"PrjAcct-{name}-1", "Project", "", "")
        made = Project(known or str(uuid4()), name, own, {owner.id})
        self.projects[made.id] = made
        return made

    def project_of(self, account: str) -> Project | None:
        """The project whose own account this is."""
        return next((one for one in self.projects.values() if one.account.id == account), None)

    def project(self, account: Account, known: str) -> Project:
        """A project that an account is in."""
        found = self.projects.get(known)
        if found is None:
            raise Refusal(431, f"Unable to find project by id {known}", 4350)
        if account.id not in found.members and account.role != "Admin":
            raise Refusal(531, f"Account {account.name} is unauthorised to use project id={known}", 4365)
        return found

    def acting(self, account: Account, params: dict[str, str]) -> Account:
        """For whom a command is done: the project that it names, or whose thing it names, if the account is in it."""
        params = {name: value for name, value in params.items() if (name, value) != ("projectid", "-1")}
        mine = [self.project(account, params["projectid"])] if "projectid" in params else []
        mine += [one for one in self.projects.values() if account.id in one.members]
        owners = {known: owner for things in self.things.values() for known, (owner, _) in things.items()}
        owners |= {job.id: job.account for job in self.jobs.values()}
        owners |= {known: owner for owner, machine in self.things["machine"].values() for known in _within(machine)}
        said = (value for name, value in params.items() if name != "ids")  # lists by several ids look at no owner
        named = {owners.get(one, "") for value in said for one in value.split(",")}
        for one in mine:
            if "projectid" in params or one.account.id in named:
                return replace(account, id=one.account.id, name=one.account.name)
        return account

    def may(self, account: Account, name: str) -> bool:
        """Whether an account's role has a command, by its name in small letters."""
        return account.role in commands()[name].roles and (account.role, name) not in self.denied

    def wrong_next(self, command: str, *faults: Refusal | str) -> None:
        self.faults.setdefault(command, []).extend(faults)

    def fault_of(self, command: str) -> Refusal | str | None:
        return self.faults[command].pop(0) if self.faults.get(command) else None

    def add(self, account: Account, kind: str, item: Item) -> Item:
        if "account" in item:
            item |= {"domainid": DOMAIN, "domain": "ROOT"}
        if of := self.project_of(account.id):
            item.pop("account", None)
            item |= of.said if "domainid" in item else {}
        self.things[kind][item["id"]] = (account.id, item)
        return item

    def own(self, account: Account, kind: str) -> list[Item]:
        """What an account has of a kind, such as is destroyed included until it is expunged."""
        self.expunge(self.now() - EXPUNGED)
        return [item for owner, item in self.things[kind].values() if owner == account.id]

    def expunge(self, before: datetime) -> None:
        """Let go of machines that were destroyed before a moment, and of all that they held."""
        for known in [one for one, since in self.destroyed.items() if since < before]:
            del self.destroyed[known], self.things["machine"][known]
            volumes = self.things["volume"]
            for volume in [one for one, (_, item) in volumes.items() if item.get("virtualmachineid") == known]:
                del volumes[volume]

    def zone(self, known: str) -> Item:
        for one in self.zones:
            if one["id"] == known:
                return one
        raise Refusal(431, f"Unable to find zone by id {known}", 4350)

    def private_addresses(self, network: str) -> set[str]:
        """Those that are taken in a network."""
        nics = [nic for _, machine in self.things["machine"].values() for nic in machine["nic"]]
        here = [nic for nic in nics if nic["networkid"] == network]
        further = {one["ipaddress"] for nic in here for one in nic.get("secondaryip", ())}
        return {nic["ipaddress"] for nic in here} | further

    def nic(self, network: Item, address: str = "") -> Item:
        """Of a new machine, with this address or any that is free."""
        within, taken = IPv4Network(network["cidr"]), self.private_addresses(network["id"])
        self.addresses += 1
        while not address or address in taken:
            address = str(within[1 + self.addresses % (within.num_addresses - 3)])
            self.addresses += 1
        return {
            "id": str(uuid4()),
            "networkid": network["id"],
            "networkname": network["name"],
            "ipaddress": address,
            "netmask": str(within.netmask),
            "gateway": network["gateway"],
            "macaddress": f"02:00:00:00:{self.addresses // 256:02x}:{self.addresses % 256:02x}",
            "traffictype": "Guest",
            "type": network["type"],
        }

    def public_range(self, zone: str) -> str:
        """How all public addresses of a zone begin."""
        return PUBLIC[[one["id"] for one in self.zones].index(zone)]

    def public_address(self, zone: str) -> str:
        self.addresses += 1
        return f"{self.public_range(zone)}{self.addresses % 250 + 1}"

    def default_network(self, account: Account, zone: Item) -> Item:
        """The isolated network that is made with an account's first machine in a zone."""
        offering = next(one for one in self.network_offerings if not one["forvpc"])
        return self.add(
            account,
            "network",
            {
                **_network(zone, "Isolated", f"{account.name}-network"),
                "account": account.name,
                "networkofferingid": offering["id"],
                "egressdefaultpolicy": offering["egressdefaultpolicy"],
            },
        )

    def default_group(self, account: Account) -> Item:
        """Each account has one, from when it is first looked for."""
        for one in self.own(account, "group"):
            if one["name"] == "default":
                return one
        return self.new_group(account, "default", "Default Security Group")

    def new_group(self, account: Account, name: str, description: str) -> Item:
        said = {"id": str(uuid4()), "name": name, "description": description, "account": account.name}
        return self.add(account, "group", {**said, "ingressrule": [], "egressrule": [], "tags": []})

    def begin(
        self,
        command: str,
        account: Account,
        finish: Callable[[], Item],
        instance: str,
        fail: Callable[[], object] = lambda: None,
    ) -> Item:
        """A job: `finish` does what it is for when its time has come, `fail` is called if it cannot."""
        fault = self.fault_of(f"{command} job")

        def refuse() -> Item:
            raise fault

        due = None if fault == NEVER else self.now() + timedelta(seconds=self.job_seconds)
        done = refuse if isinstance(fault, Refusal) else finish
        job = Job(str(uuid4()), command, account.id, due, done, fail, instance)
        self.jobs[job.id] = job
        return {"jobid": job.id, **({"id": instance} if instance else {})}

    def run_jobs(self) -> None:
        """Those whose time has come."""
        for job in self.jobs.values():
            if job.result is None and job.due and job.due <= self.now():
                job.run()
                command = commands()[job.command.lower()]
                if command.asynchronous and not job.failed:
                    self.complaints += command.strange_result(job.result or {})


def _within(machine: Item) -> list[str]:
    """The ids of a machine's interfaces and of their further addresses."""
    return [one["id"] for nic in machine["nic"] for one in (nic, *nic.get("secondaryip", ()))]


def world(*, groups: bool | Sequence[bool], kinds: Sequence[str] = ("Advanced",)) -> World:
    """A zone of each of these kinds, Advanced or Basic. `groups` says which have security groups, or that all have;
    those of the kind Basic do."""
    grouped = [groups] * len(kinds) if isinstance(groups, bool) else groups
    zones = [_zone(number, kind, groups=has) for number, (kind, has) in enumerate(zip(kinds, grouped, strict=True))]
    templates = {"debian": str(uuid4()), "community": str(uuid4())}
    return World(
        zones,
        [_network(zone, "Shared", "guests", number) for number, zone in enumerate(zones) if grouped[number]],
        [_disk_offering("Custom", 0), _disk_offering("Small", 5)],
        [_service_offering("Tiny", 1, 512), _service_offering("Medium", 2, 4096)],
        [_template(zone, known, name) for name, known in templates.items() for zone in zones],
        [{"id": str(uuid4()), "name": "Default VPC offering", "state": "Enabled", "isdefault": True}],
        [_network_offering("ForVpc", for_vpc=True), _network_offering("Isolated", for_vpc=False)],
        [{"id": str(uuid4()), "description": name} for name in ("Other Linux (64-bit)", "Other (64-bit)")],
        [{"id": str(uuid4()), "name": name, "description": name} for name in ("default_allow", "default_deny")],
    )


def _zone(number: int, kind: str, *, groups: bool) -> Item:
    guests = {} if kind == "Basic" else {"guestcidraddress": "10.1.0.0/16"}
    return {
        "id": str(uuid4()),
        "name": f"zone-{number + 1}",
        "networktype": kind,
        "securitygroupsenabled": groups,
        "allocationstate": "Enabled",
        "localstorageenabled": False,
        "dhcpprovider": "VirtualRouter",
        "tags": [],
        **guests,
    }


def _network(zone: Item, kind: str, name: str, number: int = 0) -> Item:
    said = {"id": str(uuid4()), "name": name, "type": kind, "state": "Implemented", "tags": []}
    within = {"cidr": f"10.{1 + number}.0.0/16", "gateway": f"10.{1 + number}.0.1"}
    return {**said, "zoneid": zone["id"], "zonename": zone["name"], **within}


def _network_offering(name: str, *, for_vpc: bool) -> Item:
    said = {"state": "Enabled", "guestiptype": "Isolated", "traffictype": "Guest", "isdefault": True}
    said |= {"forvpc": for_vpc, "egressdefaultpolicy": False}
    return {**said, "id": str(uuid4()), "name": name, "displaytext": name}


def _disk_offering(name: str, size: int) -> Item:
    said = {"displaytext": name, "displayoffering": True, "storagetype": "shared", "provisioningtype": "thin"}
    return {**said, "id": str(uuid4()), "name": name, "iscustomized": not size, "disksize": size}


def _service_offering(name: str, processors: int, memory: int) -> Item:
    said = {"displaytext": name, "storagetype": "shared", "offerha": False, "iscustomized": False, "issystem": False}
    return {**said, "id": str(uuid4()), "name": name, "cpunumber": processors, "cpuspeed": 1000, "memory": memory}


def _template(zone: Item, known: str, name: str) -> Item:
    return {
        "id": known,
        "name": name,
        "displaytext": name,
        "account": "system",
        "domainid": DOMAIN,
        "domain": "ROOT",
        "zoneid": zone["id"],
        "zonename": zone["name"],
        "created": "2026-01-02T03:04:05+0000",
        "isready": True,
        "ispublic": True,
        "isfeatured": name != "community",
        "isextractable": False,
        "crossZones": True,
        "format": "QCOW2",
        "hypervisor": "KVM",
        "ostypeid": _DEBIAN,
        "ostypename": "Debian GNU/Linux 12 (64-bit)",
        "passwordenabled": False,
        "size": 2 * 1024**3,
        "status": "Download Complete",
        "templatetype": "USER",
        "tags": [],
    }
