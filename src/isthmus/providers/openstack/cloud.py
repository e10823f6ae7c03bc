"""The cloud and its sessions."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import openstack
import requests
from keystoneauth1 import exceptions
from keystoneauth1.session import Session as Wire
from keystoneauth1.session import TCPKeepAliveAdapter
from openstack.config import OpenStackConfig

from isthmus.believed import Believed
from isthmus.errors import Denied, Invalid, Unavailable
from isthmus.model import SignedRequest
from isthmus.providers import NO_SECRETS, NO_TENANTS, Admission, Capability, Finding, Health, Tenants
from isthmus.providers.openstack.addresses import OpenStackAddresses
from isthmus.providers.openstack.client import Client
from isthmus.providers.openstack.credentials import Credentials
from isthmus.providers.openstack.disks import NO_ENCRYPTION, Held
from isthmus.providers.openstack.endings import Endings
from isthmus.providers.openstack.firewalls import OpenStackFirewalls
from isthmus.providers.openstack.images import OpenStackImages
from isthmus.providers.openstack.keys import OpenStackKeys
from isthmus.providers.openstack.logins import Signed, Signings, by_secrets
from isthmus.providers.openstack.members import Members
from isthmus.providers.openstack.networks import OpenStackNetworks
from isthmus.providers.openstack.noting import Noting
from isthmus.providers.openstack.ports import OpenStackPorts
from isthmus.providers.openstack.servers import NO_KERNEL, NO_USER_DATA, OpenStackCompute
from isthmus.providers.openstack.volumes import OpenStackVolumes
from isthmus.providers.openstack.wiring import NO_ACLS, NO_DHCP, NO_PEERING
from isthmus.together import AT_ONCE, together

LACKS = MappingProxyType(
    {
        Capability.KERNEL: NO_KERNEL,
        Capability.USER_DATA: NO_USER_DATA,
        Capability.VOLUME_RETYPE: "Cinder moves data for another type, and IOPS are set by the operator's volume types",
        Capability.SNAPSHOT_SHARE: "Cinder's snapshots are their project's alone; share an image with data",
        Capability.SNAPSHOT_COPY: "Cinder has no copies of snapshots: make a volume of one, and a snapshot of that",
        Capability.IMAGE_URL: "Glance is not asked to fetch what a request names: use isthmus image import",
        Capability.IMAGE_COPY: "Glance has no copies of images: share the image, or import its file again",
        Capability.IMAGE_SHARE_SNAPSHOTS: "Cinder's snapshots are their project's alone; import the disk as an image",
        Capability.ACLS: NO_ACLS,
        Capability.DHCP: NO_DHCP,
        Capability.PEERING: NO_PEERING,
        Capability.ENCRYPTION: NO_ENCRYPTION,
        Capability.MULTI_ATTACH: "attach one volume to each server",
    }
)

_TURNS = 1024
KEYSTONE_SECONDS = 15
"""How long Keystone may take to give out a token, and any service to tell its versions."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator says of an OpenStack. `cloud` names an entry of clouds.yaml; `auth` is the login, or what is
    otherwise in it."""

    cloud: str = ""
    clouds_yaml: str = ""
    """The path of that file; empty: where openstacksdk looks for it."""
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    region: str = ""
    interface: str = "public"
    verify: bool | str = True
    external_network: str = ""
    """The name or id of the network with public addresses; empty: the only one there is."""
    flavors: Mapping[str, str] = field(default_factory=dict)
    """Names of instance types, each with that of a Nova flavor."""
    credentials: str = "validate"
    """Who judges signatures of Keystone's own EC2 credentials: Keystone, or with `fetch` we, by secrets it tells."""


_NEUTRON_QUOTAS = {"addresses": "floatingip", "interfaces": "port", "groups": "security_group", "vpcs": "network"}


class OpenStack:
    """An OpenStack under its own roof; whoever calls it signs in with the tenant's rights.

    Unavailable if Keystone does not answer; Invalid if the service's own login cannot be.
    """

    def __init__(self, name: str, zones: Sequence[str], options: Options) -> None:
        self._name = name
        self.zones = tuple(zones)
        self.options = options
        self._service = connect(options)
        self._region = options.region or self._service.config.region_name
        self._signings = Signings()
        self._turns = [threading.Lock() for _ in range(_TURNS)]
        self.held = Believed[Held]()
        """What Nova has said of volumes that do not tell it themselves, by project, attachment and volume."""
        self.noting = Noting()
        self.endings = Endings()
        self.members = Members()
        fetch = options.credentials == "fetch"
        self._credentials = Credentials(self._service.session, self.auth_url, self.sign_in, self._signings, fetch=fetch)
        self._discovered: dict[str, Any] = {}
        """What the services say of their versions: asked once for all tenants."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def remote(self) -> bool:
        return True

    @property
    def lacks(self) -> Mapping[Capability, str]:
        return LACKS

    @property
    def auth_url(self) -> str:
        return str(self._service.session.auth.auth_url)

    def session(self, tenant: str, secrets: Mapping[str, Any] = NO_SECRETS) -> OpenStackSession:
        if not tenant:
            raise Invalid("a session is a tenant's", "tenant")
        if not secrets:
            return OpenStackSession(self, Client(tenant, lambda service: self._latest(tenant).adapter(service)))
        login = hashlib.sha256(json.dumps(dict(secrets), sort_keys=True).encode()).hexdigest()
        signed = self._signings.get(tenant, login)
        if signed is None:
            signed = self.sign_in(by_secrets(self.auth_url, secrets))
            if signed.project() != tenant:
                raise Denied("The login that is kept for this account is one of another project.")
            self._signings.put(tenant, login, signed)
        return OpenStackSession(self, Client(tenant, signed.adapter))

    def sign_in(self, auth: Any) -> Signed:
        """Connections under a login of keystoneauth's."""
        wire = Wire(
            auth=auth,
            verify=self._service.session.verify,
            app_name="isthmus",
            session=pool(),
            discovery_cache=self._discovered,
            timeout=KEYSTONE_SECONDS,
        )
        return Signed(wire, self._region, self.options.interface)

    def turn(self, ref: str) -> threading.Lock:
        """One at a time for each ref: what is asked for twice at once is made once."""
        return self._turns[hash(ref) % _TURNS]

    def _latest(self, tenant: str) -> Signed:
        """For work that goes on after a request: the login of the tenant that was used last."""
        if found := self._signings.latest(tenant):
            return found
        raise Unavailable("Nobody of this tenant has signed in lately, and no application credential is kept for it.")

    @property
    def admits(self) -> bool:
        return True

    @property
    def registrar(self) -> None:
        """Keystone itself knows all credentials that it gives out."""

    @property
    def realm(self) -> str:
        return self.name

    def admit(self, request: SignedRequest) -> Admission | None:
        found = self._credentials.admit(request)
        if found is None:
            return None
        signed, granted = found
        session = OpenStackSession(self, Client(granted.project, signed.adapter))
        return Admission(granted.project, granted.name, session)

    def health(self) -> Health:
        details = {"auth_url": self.auth_url, "credentials": self.options.credentials}
        try:
            wrong = self._credentials.missing()
        except Unavailable as fault:
            wrong = str(fault)
        return Health(details, (wrong,) if wrong else ())

    def mend(self) -> None:
        """Nothing is done without a tenant's own rights: sessions mend what they find half done."""

    def check(self, *, repair: bool = False, tenants: Tenants = NO_TENANTS) -> Sequence[Finding]:  # noqa: ARG002
        """Its storage is the operator's."""
        return ()

    def clean(self, *, everything: bool = False) -> Sequence[str]:  # noqa: ARG002
        """It keeps nothing on this host."""
        return ()

    def machines(self) -> Sequence[str]:
        """None runs on this host."""
        return ()

    def close(self) -> None:
        self.endings.close()
        self.noting.close()
        self._service.close()


class OpenStackSession:
    """One tenant's view."""

    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self.client = client
        self.compute = OpenStackCompute(cloud, client)
        self.volumes = OpenStackVolumes(cloud, client)
        self.images = OpenStackImages(cloud, client)
        self.networks = OpenStackNetworks(cloud, client)
        self.ports = OpenStackPorts(cloud, client)
        self.firewalls = OpenStackFirewalls(cloud, client)
        self.addresses = OpenStackAddresses(cloud, client)
        self.keys = OpenStackKeys(cloud, client)
        self.metrics = None
        self.labels = None

    def once(self) -> OpenStackSession:
        return OpenStackSession(self._cloud, self.client.once())

    def quotas(self) -> Mapping[str, int]:
        nova, neutron = together(
            lambda: self.client.get("compute", "/limits")["limits"]["absolute"],
            lambda: self.client.get("network", f"/v2.0/quotas/{self.client.project}")["quota"],
        )
        said = {"instances": nova.get("maxTotalInstances", -1), "key_pairs": nova.get("maxTotalKeypairs", -1)}
        said |= {name: neutron.get(theirs, -1) for name, theirs in _NEUTRON_QUOTAS.items()}
        return {name: most for name, most in said.items() if most >= 0}


def pool() -> requests.Session:
    """Connections are kept, as many as are used at a time; without, keystoneauth keeps ten of them."""
    made = requests.Session()
    adapter = TCPKeepAliveAdapter(pool_maxsize=AT_ONCE)
    for scheme in list(made.adapters):
        made.mount(scheme, adapter)
    return made


def connect(options: Options) -> Any:
    """A connection of openstacksdk's. Raises Invalid if the login cannot be."""
    said: dict[str, Any] = {"cacert": options.verify} if isinstance(options.verify, str) else {}
    said |= {} if options.verify else {"verify": False}
    said |= {"auth": dict(options.auth)} if options.auth else {}
    said["api_timeout"] = KEYSTONE_SECONDS
    try:
        if not options.cloud:
            return openstack.connect(
                load_envvars=False,
                load_yaml_config=False,
                region_name=options.region or None,
                **said,
            )
        files = [options.clouds_yaml] if options.clouds_yaml else None
        config = OpenStackConfig(config_files=files, load_envvars=False)
        region: Any = config.get_one(options.cloud, region_name=options.region or None, **said)
        return openstack.connection.Connection(config=region)
    except (openstack.exceptions.SDKException, exceptions.ClientException) as error:
        raise Invalid(f"the login to OpenStack cannot be: {error}", "cloud") from error
