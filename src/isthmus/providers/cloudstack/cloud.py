"""The cloud and its sessions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isthmus.errors import Denied, Fault, Invalid, Unavailable
from isthmus.model import Flavor, Server, SignedRequest, Volume
from isthmus.providers import NO_SECRETS, NO_TENANTS, Admission, Capability, Finding, Health, Tenants
from isthmus.providers.cloudstack import exposed, projects
from isthmus.providers.cloudstack.addresses import CloudStackAddresses
from isthmus.providers.cloudstack.client import READ_SECONDS, Client, Nowhere, Wire
from isthmus.providers.cloudstack.copies import Copies
from isthmus.providers.cloudstack.credentials import Credentials, Owner, Signer
from isthmus.providers.cloudstack.filters import Turns
from isthmus.providers.cloudstack.firewalls import CloudStackFirewalls
from isthmus.providers.cloudstack.going import Going
from isthmus.providers.cloudstack.grounds import Placed
from isthmus.providers.cloudstack.groups import NetworkGroups
from isthmus.providers.cloudstack.images import CloudStackImages
from isthmus.providers.cloudstack.keys import CloudStackKeys
from isthmus.providers.cloudstack.labels import CloudStackLabels
from isthmus.providers.cloudstack.lacks import GROUPED, UNGROUPED
from isthmus.providers.cloudstack.networks import SharedNetworks
from isthmus.providers.cloudstack.ports import CloudStackPorts
from isthmus.providers.cloudstack.registrar import CloudStackRegistrar
from isthmus.providers.cloudstack.seen import Seen
from isthmus.providers.cloudstack.servers import CloudStackCompute
from isthmus.providers.cloudstack.signing import LOGIN, Keys
from isthmus.providers.cloudstack.tenant import Offers, Tenant
from isthmus.providers.cloudstack.volumes import CloudStackVolumes
from isthmus.providers.cloudstack.vpcs import Vpcs

_TURNS = 1024
_QUOTAS = {
    "instances": "vmlimit",
    "volumes": "volumelimit",
    "snapshots": "snapshotlimit",
    "images": "templatelimit",
    "addresses": "iplimit",
    "vpcs": "vpclimit",
}
"""Our names of quotas, each with CloudStack's name of the account's limit."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator says of a CloudStack."""

    url: str
    """Of its API, such as https://cloud.example.org/client/api."""
    admin: Keys | None = None
    """An administrator's, which tell who signed with a user's own."""
    verify: bool | str = True
    timeout: float = READ_SECONDS
    """Seconds that an answer may take."""
    security_groups: bool = False
    """Whether the zones have security groups; else they have VPCs. Zones of both kinds are two clouds."""
    expunge: bool = False
    """Whether accounts may expunge what they destroy, so that names, addresses and groups are free at once."""
    vpc_offering: str = ""
    network_offering: str = ""
    """The offerings of VPCs and of their subnets; empty: the cloud's default ones."""
    flavors: Mapping[str, str] = field(default_factory=dict)
    """Names of instance types, each with the name of a service offering."""
    sizes: Mapping[str, Flavor] = field(default_factory=dict)
    """Of instance types by their names, for offerings whose size is chosen at each launch."""
    os_type: str = "Other Linux (64-bit)"
    """The kind of system, by CloudStack's name, on images of volumes of which it knows none."""
    volume_types: Mapping[str, str] = field(default_factory=dict)
    """Names of volume types, each with the name of a disk offering."""
    registration: str = "off"
    """Whether users may register their own keys: `off`, over connections that are `encrypted`, or over `any`."""


class CloudStack:
    """A CloudStack under its own roof. A tenant is an account or a project, by its id: what is done for it is done with
    the keys of one of its users."""

    def __init__(self, name: str, zones: Sequence[str], options: Options, others: Iterable[object] = ()) -> None:
        """`others` are clouds that are open already: with one of further zones it is found out together who signs."""
        self._name = name
        self.zones = tuple(zones)
        self.options = options
        self._wire = Wire(options.url, verify=options.verify, seconds=options.timeout)
        kin = [one for one in others if isinstance(one, CloudStack) and one._way == self._way]
        self._credentials: Credentials = kin[0]._credentials if kin else Credentials(self._wire, options.admin)
        self.going = Going()
        self.placed = Placed()
        self.servers, self.volumes = Seen[Server](), Seen[Volume]()
        self.copies = Copies()
        self.filtering = Turns()
        self.making = threading.Lock()
        """For one at a time who makes an account's default network."""
        self._offered = Offers()
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    @property
    def name(self) -> str:
        return self._name

    @property
    def _way(self) -> tuple[object, ...]:
        """How it is asked who signs."""
        return self.options.url, self.options.verify, self.options.admin

    @property
    def remote(self) -> bool:
        return True

    @property
    def lacks(self) -> Mapping[Capability, str]:
        return GROUPED if self.options.security_groups else UNGROUPED

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> CloudStackSession:
        """Without keys it has those that the tenant signed with last; if there are none, it can ask for nothing.

        Raises Denied for keys of who is neither of the account nor in the project, and Unavailable if nobody tells
        whose they are.
        """
        if not tenant:
            raise Invalid("a session is a tenant's", "tenant")
        if not secrets:
            signer = self._credentials.latest(tenant)
            return self._session(signer) if signer else self._keyless(tenant)
        return CloudStackSession(self, self.kept(tenant, secrets))

    def kept(self, tenant: str, secrets: Mapping[str, Any]) -> Tenant:
        """A tenant by the keys that the operator keeps for it. Raises Denied, Unavailable."""
        if wrong := set(LOGIN) ^ set(secrets):
            raise Denied(f"An account of CloudStack signs in with {' and '.join(LOGIN)}: see to {min(wrong)}.")
        keys = Keys(*(str(secrets[name]) for name in LOGIN))
        whose = self._credentials.owner(keys)
        if whose.tenant != tenant:
            member = self._credentials.member(keys, tenant)
            if member is None:
                raise Denied("The keys that are kept for this account are of another account, and not in this project.")
            whose = member
        return self._tenant(Signer(whose, keys))

    def administrator(self) -> Client | None:
        """For what an operator asks."""
        return Client(self._wire, self.options.admin) if self.options.admin else None

    def _tenant(self, signer: Signer) -> Tenant:
        client = Client(self._wire, signer.keys, more=projects.naming(signer.owner.project))
        return Tenant(client, signer.owner, self.zones, self._offered)

    def _session(self, signer: Signer) -> CloudStackSession:
        return CloudStackSession(self, self._tenant(signer))

    def _keyless(self, tenant: str) -> CloudStackSession:
        nobody = Client(Nowhere(_no_keys), Keys("", ""))
        return CloudStackSession(self, Tenant(nobody, Owner("", tenant, "", ""), self.zones, self._offered))

    def owner_of(self, tenant: str) -> Owner | None:
        """Who a tenant is in CloudStack, if it has been here."""
        return self._credentials.owner_of(tenant)

    def tenant_named(self, name: str, domain: str) -> str:
        """The tenant that an account is, if it has been here; else empty."""
        return self._credentials.tenant_named(name, domain)

    def turn(self, ref: str) -> threading.Lock:
        """One at a time for each ref: what is asked for twice at once is made once."""
        return self._turns[hash(ref) % _TURNS]

    @property
    def admits(self) -> bool:
        return True

    @property
    def realm(self) -> str:
        return f"{self.options.url} of CloudStack"

    def admit(self, request: SignedRequest) -> Admission | None:
        """Without an administrator's keys accounts are known by the keys that are kept for them alone."""
        found = self._credentials.admit(request)
        return Admission(found.owner.tenant, found.owner.name, self._session(found)) if found else None

    @property
    def registrar(self) -> CloudStackRegistrar | None:
        said = self.options.registration
        return CloudStackRegistrar(self._credentials, unencrypted=said == "any") if said != "off" else None

    def health(self) -> Health:
        details = {"url": self.options.url, "credentials": "of all users" if self.options.admin else "that are kept"}
        try:
            self._wire.ping()
            wrong = self._credentials.missing()
        except Unavailable as fault:
            wrong = str(fault)
        return Health(details, (wrong,) if wrong else ())

    def mend(self) -> None:
        """Nothing is done without a tenant's own keys: sessions mend what they find half done."""

    def check(self, *, repair: bool = False, tenants: Tenants = NO_TENANTS) -> Iterator[Finding]:  # noqa: ARG002
        """Its storage is the operator's; what is looked at are the filters of subnets."""
        yield from exposed.check(self, tenants)

    def clean(self, *, everything: bool = False) -> Sequence[str]:  # noqa: ARG002
        """It keeps nothing on this host."""
        return ()

    def machines(self) -> Sequence[str]:
        """None runs on this host."""
        return ()

    def close(self) -> None:
        self.copies.close()
        self._wire.close()


def _no_keys() -> Fault:
    return Unavailable("Nobody of this account has signed lately, and no keys are kept for it.")


class CloudStackSession:
    """One tenant's view."""

    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self.compute = CloudStackCompute(cloud, tenant)
        self.volumes = CloudStackVolumes(cloud, tenant)
        self.images = CloudStackImages(cloud, tenant, self.volumes)
        self.keys = CloudStackKeys(cloud, tenant)
        self.ports = CloudStackPorts(cloud, tenant)
        grouped = cloud.options.security_groups
        self.networks = SharedNetworks(cloud, tenant) if grouped else Vpcs(cloud, tenant)
        self.firewalls = CloudStackFirewalls(cloud, tenant) if grouped else NetworkGroups(cloud, tenant)
        self.addresses = None if grouped else CloudStackAddresses(cloud, tenant)
        self.metrics = None
        self.labels = CloudStackLabels(cloud, tenant)

    def once(self) -> CloudStackSession:
        return CloudStackSession(self._cloud, self._tenant.once())

    def quotas(self) -> Mapping[str, int]:
        asked = ("listProjects", "project") if self._tenant.owner.project else ("listAccounts", "account")
        [limited] = self._tenant.client.every(*asked, id=self._tenant.native)
        said = {name: str(limited.get(theirs, "")) for name, theirs in _QUOTAS.items()}
        return {name: int(most) for name, most in said.items() if most.isdecimal()}
