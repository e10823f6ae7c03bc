"""The cloud and its sessions."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from isthmus.errors import Denied, Invalid, Unavailable
from isthmus.model import SignedRequest
from isthmus.providers import NO_SECRETS, Admission, Capability, Health
from isthmus.providers.cloudstack.client import READ_SECONDS, Client, Wire
from isthmus.providers.cloudstack.credentials import Credentials, Signer
from isthmus.providers.cloudstack.images import CloudStackImages
from isthmus.providers.cloudstack.servers import CloudStackCompute
from isthmus.providers.cloudstack.signing import Keys
from isthmus.providers.cloudstack.tenant import Tenant

LACKS = MappingProxyType(
    {
        Capability.LAUNCH: "servers of CloudStack cannot be made here yet: deploy them there",
        Capability.CONSOLE: "CloudStack keeps no text of consoles: open the server's console in its own interface",
        Capability.PASSWORD: "CloudStack encrypts passwords in another way: reset the password in its own interface",
        Capability.RESIZE: "servers of CloudStack cannot be resized here yet: scale them there",
        Capability.KERNEL: "CloudStack boots what is in a template: make a template with the kernel in it",
        Capability.IMAGE_OF_SERVER: "images of servers cannot be made here yet: make a template in CloudStack",
        Capability.IMAGE_OF_SNAPSHOT: "images of snapshots cannot be made here yet: make a template in CloudStack",
        Capability.IMAGE_SHARE: "images cannot be shared here yet: share the template in CloudStack",
        Capability.IMAGE_COPY: "images cannot be copied here yet: copy the template in CloudStack",
        Capability.IMAGE_IMPORT: "CloudStack fetches images from a URL: register a template there",
    }
)

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
SECRETS = ("api_key", "secret_key")
"""What the operator keeps for a tenant: the API keys of one of the account's users."""


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
    flavors: Mapping[str, str] = field(default_factory=dict)
    """Names of instance types, each with the name of a service offering."""
    volume_types: Mapping[str, str] = field(default_factory=dict)
    """Names of volume types, each with the name of a disk offering."""


class CloudStack:
    """A CloudStack under its own roof. A tenant is an account, by its id; what is done for it is done with its keys."""

    def __init__(self, name: str, zones: Sequence[str], options: Options) -> None:
        self._name = name
        self.zones = tuple(zones)
        self.options = options
        self._wire = Wire(options.url, verify=options.verify, seconds=options.timeout)
        self._credentials = Credentials(self._wire, options.admin)
        self._turns = [threading.Lock() for _ in range(_TURNS)]

    @property
    def name(self) -> str:
        return self._name

    @property
    def remote(self) -> bool:
        return True

    @property
    def lacks(self) -> Mapping[Capability, str]:
        return LACKS

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> CloudStackSession:
        """Without keys it has those that the tenant signed with last.

        Raises Denied for keys of another account, or if there are none; Unavailable if nobody tells whose they are.
        """
        if not tenant:
            raise Invalid("a session is a tenant's", "tenant")
        if not secrets and self.options.admin:
            return self._session(self._credentials.latest(tenant))
        if wrong := set(SECRETS) ^ set(secrets):
            raise Denied(f"An account of CloudStack signs in with {' and '.join(SECRETS)}: see to {min(wrong)}.")
        keys = Keys(*(str(secrets[name]) for name in SECRETS))
        whose = self._credentials.owner(keys)
        if whose.tenant != tenant:
            raise Denied("The keys that are kept for this account are those of another account of CloudStack.")
        return self._session(Signer(whose, keys))

    def _session(self, signer: Signer) -> CloudStackSession:
        return CloudStackSession(self, Tenant(Client(self._wire, signer.keys), signer.owner))

    def turn(self, ref: str) -> threading.Lock:
        """One at a time for each ref: what is asked for twice at once is made once."""
        return self._turns[hash(ref) % _TURNS]

    @property
    def admits(self) -> bool:
        return True

    def admit(self, request: SignedRequest) -> Admission | None:
        """Without an administrator's keys accounts are known by the keys that are kept for them alone."""
        found = self._credentials.admit(request)
        return Admission(found.owner.tenant, found.owner.name, self._session(found)) if found else None

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

    def close(self) -> None:
        self._wire.close()


class CloudStackSession:
    """One tenant's view."""

    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self.compute = CloudStackCompute(cloud, tenant)
        self.images = CloudStackImages(cloud, tenant)
        self.volumes = None
        self.networks = None
        self.ports = None
        self.firewalls = None
        self.addresses = None
        self.keys = None
        self.metrics = None

    def once(self) -> CloudStackSession:
        return CloudStackSession(self._cloud, self._tenant.once())

    def quotas(self) -> Mapping[str, int]:
        [account] = self._tenant.client.every("listAccounts", "account", id=self._tenant.native)
        said = {name: str(account.get(theirs, "")) for name, theirs in _QUOTAS.items()}
        return {name: int(most) for name, most in said.items() if most.isdecimal()}
