"""The metadata of one guest as EC2 lays it out: a pure function from a guest to leaves, and the listings over them.

Names and formats follow the "Instance metadata and user data" chapter of the EC2 user guide. Every served
version has the same leaves: clients ask for a version to know that something is there, never that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar
from urllib.parse import unquote

VERSIONS = (
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
    "2011-01-01",
    "2011-05-01",
    "2012-01-12",
    "2014-02-25",
    "2014-11-05",
    "2015-10-20",
    "2016-04-19",
    "2016-06-30",
    "2016-09-02",
    "2018-03-28",
    "2018-08-17",
    "2018-09-24",
    "2019-10-01",
    "2020-10-27",
    "2021-01-03",
    "2021-03-23",
    "2021-07-15",
    "latest",
)

_Leaf = TypeVar("_Leaf", str, bytes)

_TAG_KEY = re.compile(r"(?!\.{1,2}\Z|_index\Z)[A-Za-z0-9+\-=.,_:@]+")
"""The tag keys EC2 shows in metadata; any other would not survive as a path segment."""


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface of an instance, in EC2's words. Empty means "has none"."""

    id: str
    mac: str
    addresses: tuple[str, ...]
    """Private ones, the primary one first."""
    device: int = 0
    publics: Mapping[str, str] = field(default_factory=dict)
    """Public addresses, each with the private one that it stands for; in the order of these."""
    subnet_id: str = ""
    subnet_cidr: str = ""
    vpc_id: str = ""
    vpc_cidrs: tuple[str, ...] = ()
    """The primary one first."""
    security_groups: tuple[SecurityGroup, ...] = ()

    @property
    def address(self) -> str:
        """The primary private one."""
        return self.addresses[0]


@dataclass(frozen=True, slots=True)
class Guest:
    """All that the metadata of one instance needs, in EC2's words. Empty means "has none"."""

    instance_id: str
    reservation_id: str
    account: str
    image_id: str
    instance_type: str
    interfaces: tuple[Interface, ...]
    """At least one; the first is the instance's own."""
    zone: str
    zone_id: str
    region: str
    pending_time: datetime
    """When the instance was last started; aware."""
    architecture: str = "x86_64"
    kernel_id: str = ""
    ramdisk_id: str = ""
    launch_index: int = 0
    key_name: str = ""
    public_key: str = ""
    """One OpenSSH line."""
    user_data: bytes | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    block_devices: Mapping[str, str] = field(default_factory=dict)
    """`ami`, `root`, `ebs1`, ... to the device's name."""
    http_tokens: Literal["optional", "required"] = "optional"
    http_endpoint: bool = True
    hop_limit: int = 1
    """How far a token may travel. Only a listener that speaks IP with the guest itself can apply it."""
    instance_metadata_tags: bool = False

    @property
    def local_ipv4(self) -> str:
        return self.interfaces[0].address

    @property
    def public_ipv4(self) -> str:
        """What stands for `local_ipv4`."""
        publics = self.interfaces[0].publics
        return next((public for public, private in publics.items() if private == self.local_ipv4), "")


def private_name(address: str, region: str) -> str:
    """The private DNS name of an IPv4 address, as EC2 forms it."""
    domain = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{domain}"


def public_name(address: str, region: str) -> str:
    """The public DNS name of an IPv4 address, as EC2 forms it."""
    domain = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{domain}.amazonaws.com"


def tree(guest: Guest, signed: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """The leaves below a version, by path. `signed` holds those of `dynamic/instance-identity/`, by name."""
    texts = {
        **_given(_instance(guest)),
        **_below("block-device-mapping", guest.block_devices),
        **_interfaces(guest),
        **_below("placement", _given(_placement(guest))),
        **_below("public-keys/0", _given({"openssh-key": guest.public_key.strip()})),
        **_below("services", {"domain": "amazonaws.com", "partition": "aws"}),
        **_below("tags/instance", _shown_tags(guest)),
    }
    leaves = {"meta-data/" + path: text.encode() for path, text in texts.items()}
    if guest.public_key:
        leaves["meta-data/public-keys"] = f"0={guest.key_name}".encode()  # a listing that is not its children's names
    if guest.user_data:
        leaves["user-data"] = guest.user_data
    return leaves | _below("dynamic/instance-identity", signed or {})


def answer(leaves: Mapping[str, bytes], target: str) -> bytes | None:
    """What a GET of the path `target` yields: a leaf, or a directory's listing; None when there is no such thing."""
    segments = [unquote(segment) for segment in target.split("/") if segment]
    if not segments:
        return "\n".join(VERSIONS).encode()
    if segments[0] not in VERSIONS:
        return None
    path = "/".join(segments[1:])
    return leaves[path] if path in leaves else _listing(leaves, path)


def _listing(leaves: Mapping[str, bytes], path: str) -> bytes | None:
    prefix = f"{path}/" if path else ""
    below = [leaf.removeprefix(prefix) for leaf in leaves if leaf.startswith(prefix)]
    directories = {rest.partition("/")[0] for rest in below if "/" in rest}
    files = {rest for rest in below if "/" not in rest} - directories
    slash = "/" if path else ""  # EC2 lists the level right below a version without them
    return "\n".join(sorted(files | {name + slash for name in directories})).encode() or None


def _instance(guest: Guest) -> dict[str, str]:
    private = private_name(guest.local_ipv4, guest.region)
    return {
        "ami-id": guest.image_id,
        "ami-launch-index": str(guest.launch_index),
        "ami-manifest-path": "(unknown)",
        "hostname": private,
        "instance-action": "none",
        "instance-id": guest.instance_id,
        "instance-life-cycle": "on-demand",
        "instance-type": guest.instance_type,
        "kernel-id": guest.kernel_id,
        "local-hostname": private,
        "local-ipv4": guest.local_ipv4,
        "mac": guest.interfaces[0].mac.lower(),
        "profile": "default-hvm",
        "ramdisk-id": guest.ramdisk_id,
        "reservation-id": guest.reservation_id,
        "security-groups": _lines(group.name for group in guest.interfaces[0].security_groups),
        **_public("public-ipv4", [guest.public_ipv4] if guest.public_ipv4 else [], guest.region),
    }


def _interfaces(guest: Guest) -> dict[str, str]:
    leaves: dict[str, str] = {}
    for one in guest.interfaces:
        leaves |= _below("network/interfaces/macs/" + one.mac.lower(), _given(_interface(one, guest)))
    return leaves


def _interface(one: Interface, guest: Guest) -> dict[str, str]:
    return {
        "device-number": str(one.device),
        "interface-id": one.id,
        **_below("ipv4-associations", one.publics),
        "local-hostname": private_name(one.address, guest.region),
        "local-ipv4s": _lines(one.addresses),
        "mac": one.mac.lower(),
        "owner-id": guest.account,
        "security-group-ids": _lines(group.id for group in one.security_groups),
        "security-groups": _lines(group.name for group in one.security_groups),
        "subnet-id": one.subnet_id,
        "subnet-ipv4-cidr-block": one.subnet_cidr,
        "vpc-id": one.vpc_id,
        "vpc-ipv4-cidr-block": one.vpc_cidrs[0] if one.vpc_cidrs else "",
        "vpc-ipv4-cidr-blocks": _lines(one.vpc_cidrs),
        **_public("public-ipv4s", list(one.publics), guest.region),
    }


def _placement(guest: Guest) -> dict[str, str]:
    return {"availability-zone": guest.zone, "availability-zone-id": guest.zone_id, "region": guest.region}


def _public(name: str, addresses: Sequence[str], region: str) -> dict[str, str]:
    """Under `name` the addresses, and the DNS name of the first."""
    return {"public-hostname": public_name(addresses[0], region), name: _lines(addresses)} if addresses else {}


def _shown_tags(guest: Guest) -> dict[str, str]:
    if not guest.instance_metadata_tags:
        return {}
    return {key: value for key, value in guest.tags.items() if _TAG_KEY.fullmatch(key)}


def _given(texts: Mapping[str, str]) -> dict[str, str]:
    return {path: text for path, text in texts.items() if text}


def _below(directory: str, leaves: Mapping[str, _Leaf]) -> dict[str, _Leaf]:
    return {f"{directory}/{path}": leaf for path, leaf in leaves.items()}


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(texts)
