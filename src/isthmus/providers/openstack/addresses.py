"""Neutron's floating IPs as public addresses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Denied, Invalid, NotFound
from isthmus.model import Address, need_ref
from isthmus.providers import AddressSpec
from isthmus.providers.openstack import notes, routers
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.neutron import change, create, delete, listed, own, said, v4
from isthmus.providers.openstack.ports import port_of
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack


class OpenStackAddresses:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_addresses(self) -> Sequence[Address]:
        items = listed(self._client, "address")
        unknown = [one["port_id"] for one in items if one["port_id"] and "port_details" not in one]
        fields = ("device_id", "device_owner")
        ports = {one["id"]: one for one in listed(self._client, "port", fields)} if unknown else {}
        return [_address(one, one.get("port_details") or ports.get(one["port_id"])) for one in items]

    def allocate_address(self, spec: AddressSpec) -> Address:
        need_ref(spec.ref, "address")
        noted = notes.dump(ref=spec.ref)
        with self._cloud.turn(spec.ref):
            for before in listed(self._client, "address", description=noted):
                if said(before).get("ref") == spec.ref:
                    return _address(before, before.get("port_details"))
            body = {"floating_network_id": routers.external(self._client, self._cloud), "description": noted}
            return _address(
                self._wanted(body, spec.address) if spec.address else create(self._client, "address", **body)
            )

    def release_address(self, native: str) -> None:
        try:
            item = own(self._client, "address", native)
        except NotFound:
            return
        if item["port_id"]:
            taken = item["floating_ip_address"]
            raise Conflict("address", native, f"the address {taken} is in use", code="in-use")
        delete(self._client, "address", native)

    def associate_address(self, native: str, port: str, private: str = "") -> None:
        read = partial(own, self._client)
        item, found, others = together(
            lambda: read("address", native), lambda: read("port", port), lambda: listed(self._client, "address")
        )
        there = [str(fixed["ip_address"]) for fixed in v4(found)]
        private = private or port_of(found).address
        if private not in there:
            raise Invalid(f"{private} is not an address of the port {port}", "private")
        if (item["port_id"], item["fixed_ip_address"]) == (port, private):
            return
        if item["port_id"]:
            taken = item["floating_ip_address"]
            raise Conflict("address", native, f"another port has {taken}", code="in-use")
        if any((one["port_id"], one["fixed_ip_address"]) == (port, private) for one in others):
            raise Conflict("port", port, f"{private} has a public address", code="in-use")
        try:
            change(self._client, "address", native, port_id=port, fixed_ip_address=private)
        except NotFound as fault:  # both are there: it is the way between them that is not
            reason = "the network of the port has no way to the internet"
            raise Conflict("network", self._cloud.members.home(self._client, found), reason) from fault

    def disassociate_address(self, native: str) -> None:
        if own(self._client, "address", native)["port_id"]:
            change(self._client, "address", native, port_id=None)

    def _wanted(self, body: Item, address: str) -> Item:
        """A certain address: most operators leave the choice to themselves."""
        try:
            IPv4Address(address)
            return create(self._client, "address", **body, floating_ip_address=address)
        except AddressValueError:
            raise Invalid(f"{address!r} is not an IPv4 address", "address") from None
        except (Denied, Invalid) as fault:
            raise Invalid(f"the cloud does not give out the address {address}: {fault}", "address") from fault


def _address(item: Item, port: Item | None = None) -> Address:
    """`port` is as much of the address's port as tells the server."""
    on = port["device_id"] if port and port["device_owner"].startswith("compute:") else ""
    return Address(
        native=item["id"],
        ref=said(item).get("ref", ""),
        address=item["floating_ip_address"],
        server=on,
        port=item["port_id"] or "",
        private=item["fixed_ip_address"] or "",
    )
