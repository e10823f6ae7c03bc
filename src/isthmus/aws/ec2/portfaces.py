"""A network interface with everything it names already in EC2's words, and the two ways EC2 says it."""

from __future__ import annotations

from typing import Any, NamedTuple

from isthmus.core.addresses import AUTO, association_id
from isthmus.core.ports import attachment_id, port_id
from isthmus.core.registry import Found
from isthmus.model import Address, Firewall, Port


class PortFace(NamedTuple):
    account: str
    cloud: str
    port: Port
    network: str
    subnet: str
    zone: str
    domain: str
    """What private names end in."""
    groups: tuple[Found[Firewall], ...]
    addresses: tuple[Found[Address], ...]
    """The public addresses that this port, or another of its server, answers."""
    description: str
    kind: str
    """`interface`, or what else stands behind it: `nat_gateway`."""

    @property
    def id(self) -> str:
        return port_id(self.cloud, self.port)

    def name(self, address: str) -> str:
        """The private DNS name of an address. Source: "EC2 instance hostnames" in the EC2 User Guide."""
        return f"ip-{address.replace('.', '-')}.{self.domain}"

    def public(self, private: str) -> Found[Address] | None:
        for found in self.addresses:
            if (found.noun.port, found.noun.private) == (self.port.native, private):
                return found
        return None


def interface(face: PortFace) -> dict[str, Any]:
    """An InstanceNetworkInterface; what only a NetworkInterface has stands under names with a `_`."""
    port = face.port
    said: dict[str, Any] = {
        "NetworkInterfaceId": face.id,
        "OwnerId": face.account,
        "Status": "in-use",
        "Description": face.description,
        "InterfaceType": face.kind,
        "MacAddress": port.mac,
        "PrivateIpAddress": port.address,
        "PrivateDnsName": face.name(port.address),
        "SubnetId": face.subnet,
        "VpcId": face.network,
        "SourceDestCheck": port.source_check,
        "Groups": [{"GroupId": one.id, "GroupName": one.noun.name} for one in face.groups],
        "Ipv6Addresses": [],
        "PrivateIpAddresses": [_private(face, one) for one in port.addresses],
        "Attachment": {
            "AttachmentId": attachment_id(face.cloud, port),
            "AttachTime": port.since,
            "DeleteOnTermination": port.delete_with_server,
            "DeviceIndex": port.index,
            "NetworkCardIndex": 0,
            "Status": "attached",
        },
    }
    if public := said["PrivateIpAddresses"][0].get("Association"):
        said["Association"] = public
    return said


def _private(face: PortFace, address: str) -> dict[str, Any]:
    """An InstancePrivateIpAddress."""
    said: dict[str, Any] = {
        "Primary": address == face.port.address,
        "PrivateIpAddress": address,
        "PrivateDnsName": face.name(address),
    }
    if found := face.public(address):
        said["Association"] = _association(face.account, found)
    return said


def _association(account: str, found: Found[Address]) -> dict[str, Any]:
    """An InstanceNetworkInterfaceAssociation. An address that its server has by itself is not the account's."""
    said = {"IpOwnerId": "amazon", "PublicDnsName": found.noun.address, "PublicIp": found.noun.address}
    if found.data.get(AUTO):
        return said
    ids = {"_AllocationId": found.id, "_AssociationId": association_id(found)}
    return {**ids, **said, "IpOwnerId": account}
