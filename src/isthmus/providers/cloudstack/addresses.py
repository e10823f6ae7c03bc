"""Public addresses, one to one with a server's own: CloudStack's static NAT.

CloudStack gives an address to a VPC or an isolated network, from its beginning. One that is for a server elsewhere is
given back and asked for again there, by its number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from ipaddress import AddressValueError, IPv4Address
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Fault, Invalid, NotFound, Unsupported
from isthmus.model import Address, need_ref
from isthmus.providers import AddressSpec
from isthmus.providers.cloudstack import filters, machines, offerings, secondary
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.grounds import Ground, by_item, default_network, grounds, made_default
from isthmus.providers.cloudstack.isolated import REF
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

ENDING = ("Releasing", "Free")


class CloudStackAddresses:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_addresses(self) -> Sequence[Address]:
        items, there = together(self._items, partial(machines.every, self._tenant))
        return [_address(one, there) for one in items]

    def allocate_address(self, spec: AddressSpec) -> Address:
        need_ref(spec.ref, "address")
        with self._cloud.turn(f"addresses of {self._tenant.native}"):
            for before in self._items():
                if _ref(before) == spec.ref:
                    return _address(before, ())
            home = self._home(spec)
            made = self._wanted(spec.address, home) if spec.address else self._acquire(home)
            self._tag(made["id"], spec.ref)
        return _address({**made, "tags": [{"key": REF, "value": spec.ref}]}, ())

    def release_address(self, native: str) -> None:
        for one in self._items():
            if one["id"] == native:
                if one.get("isstaticnat"):
                    raise Conflict("address", native, f"the address {one['ipaddress']} is in use", "in-use")
                with suppress(NotFound):
                    self._client.do("disassociateIpAddress", "address", native, id=native)

    def associate_address(self, native: str, port: str, private: str = "") -> None:
        items, there, found = together(self._items, partial(machines.every, self._tenant), self._grounds)
        item = _one(items, native)
        host, nic = secondary.interface(there, port)
        private = private or nic["ipaddress"]
        if private not in _private(nic):
            raise Invalid(f"{private} is not an address of the port {port}", "private")
        if item.get("isstaticnat"):
            if (item.get("virtualmachineid"), item.get("vmipaddress")) == (host["id"], private):
                self._tend(item)
                return
            raise Conflict("address", native, f"another port has {item['ipaddress']}", "in-use")
        if any((one.get("virtualmachineid"), one.get("vmipaddress")) == (host["id"], private) for one in items):
            raise Conflict("port", port, f"{private} has a public address", "in-use")
        ground = by_item(found).get(nic["networkid"])
        if ground is None:
            raise Unsupported("This server is in a network that is not the account's own: it has no public addresses.")
        if item.get("zoneid") != host["zoneid"]:
            raise Unsupported(f"A public address of CloudStack is in one zone: this one is in {item.get('zonename')}.")
        home = _home_of(ground)
        if any(item.get(_SAID[key]) != value for key, value in home.items()):
            self._move(item, home)
        self._client.do(
            "enableStaticNat",
            "address",
            native,
            ipaddressid=native,
            virtualmachineid=host["id"],
            networkid=nic["networkid"],
            vmguestip=private,
        )
        self._tend(home)

    def disassociate_address(self, native: str) -> None:
        item = _one(self._items(), native)
        if item.get("isstaticnat"):
            secondary.unanswer(self._tenant, native)
        self._tend(item)

    def _tend(self, home: Mapping[str, str]) -> None:
        """Only the default network's filters are by public address."""
        if not home.get("vpcid"):
            filters.tend(self._cloud, self._tenant, [default_network(self._tenant)])

    def _items(self) -> list[Item]:
        """The account's own, but those that its routers need for themselves."""
        listed = self._tenant.all("listPublicIpAddresses", "publicipaddress")
        there = [one for one in listed if not one.get("issourcenat") and one.get("state") not in ENDING]
        return sorted(there, key=lambda one: (one.get("allocated", ""), one["id"]))

    def _grounds(self) -> Sequence[Ground]:
        return grounds(self._client, self._cloud, self._tenant)

    def _home(self, spec: AddressSpec) -> Mapping[str, str]:
        """Where a new address is to be: where the subnet is that it may be for, else in the zone's first VPC or its
        default network, which is made if need be. Raises Invalid for a zone that there is not."""
        zone = spec.zone or self._cloud.zones[0]
        offerings.zone(self._tenant, self._cloud, zone)
        for one in self._grounds() if spec.subnet else ():
            if one.native == spec.subnet and one.item:
                return _home_of(one)
        vpcs = [one for one in self._tenant.all("listVPCs", "vpc") if one["zonename"] == zone]
        if vpcs:
            return {"vpcid": min(vpcs, key=lambda one: (one.get("created", ""), one["id"]))["id"]}
        default = next(one for one in self._grounds() if one.default and one.zone == zone)
        return _home_of(default) if default.item else {"networkid": made_default(self._cloud, self._tenant, zone)}

    def _acquire(self, home: Mapping[str, str], **wanted: str) -> Item:
        made: Item = self._client.do("associateIpAddress", "address", **home, **wanted)["ipaddress"]
        return made

    def _wanted(self, address: str, home: Mapping[str, str]) -> Item:
        try:
            IPv4Address(address)
            return self._acquire(home, ipaddress=address)
        except AddressValueError:
            raise Invalid(f"{address!r} is not an IPv4 address", "address") from None
        except (Invalid, NotFound, Conflict) as fault:
            raise Invalid(f"the cloud does not give out the address {address}: {fault}", "address") from fault

    def _move(self, item: Item, home: Mapping[str, str]) -> None:
        """Give an address to another network. CloudStack keeps its id; its tags go. Raises Conflict if it is lost."""
        native, number = item["id"], item["ipaddress"]
        self._client.do("disassociateIpAddress", "address", native, id=native)
        try:
            made = self._acquire(home, ipaddress=number)
        except Fault as fault:
            raise Conflict("address", native, f"the address {number} was lost on its way: {fault}") from fault
        if made["id"] != native:
            raise Conflict("address", native, f"CloudStack knows the address {number} by another id now")
        self._tag(native, _ref(item))

    def _tag(self, native: str, ref: str) -> None:
        if ref:
            about = {"resourcetype": "PublicIpAddress", "resourceids": [native]}
            self._client.do("createTags", "address", native, **about, tags=[{"key": REF, "value": ref}])


_SAID = {"vpcid": "vpcid", "networkid": "associatednetworkid"}
"""Parameters that give an address to something, each with the field of the address that says so."""


def _home_of(ground: Ground) -> Mapping[str, str]:
    item = ground.item or {}
    return {"vpcid": item["vpcid"]} if item.get("vpcid") else {"networkid": item["id"]}


def _ref(item: Item) -> str:
    return next((tag["value"] for tag in item.get("tags", ()) if tag["key"] == REF), "")


def _one(items: Sequence[Item], native: str) -> Item:
    for one in items:
        if one["id"] == native:
            return one
    raise NotFound("address", native[:64])


def _private(nic: Item) -> list[str]:
    """All addresses of an interface, its own first."""
    return [nic.get("ipaddress", ""), *(one["ipaddress"] for one in secondary.of(nic))]


def _address(item: Item, there: Sequence[Item]) -> Address:
    host = next((one for one in there if item.get("isstaticnat") and one["id"] == item.get("virtualmachineid")), None)
    private = item.get("vmipaddress", "") if host else ""
    nics = host.get("nic", ()) if host else ()
    port = next((nic["id"] for nic in nics if private in _private(nic)), "")
    return Address(
        item["id"], _ref(item), item["ipaddress"], host["id"] if host else "", port, private, item.get("zonename", "")
    )
