"""VPCs with their tiers, and isolated networks, in zones without security groups.

A VPC's router gives each tier a way to the internet. Whether its subnet has a route there is in the name of its list of
filters, which without one lets pass only what stays within the VPC. CloudStack's VPCs are in one zone each: here the
first that is configured.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, NoReturn

from isthmus.errors import Conflict, Denied, Invalid, NotFound, Unsupported
from isthmus.model import Dhcp, Hop, Network, Route, Subnet, SubnetWiring, Wiring, need_ref
from isthmus.providers import Capability, NetworkSpec, SubnetSpec
from isthmus.providers.cloudstack import filters, machines, notes, offerings, rulebook, tiers
from isthmus.providers.cloudstack.client import Item
from isthmus.providers.cloudstack.firewalls import DEFAULT
from isthmus.providers.cloudstack.grounds import Ground, default_network, grounds
from isthmus.providers.cloudstack.networks import OUT, all_out, default_of, subnet_of
from isthmus.providers.cloudstack.tenant import Tenant
from isthmus.together import together

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack

INTERNET = "isthmus-internet"
"""The tag of a VPC that has a way to the internet for routes to use."""
_SMALLEST = 29


class Vpcs:
    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client
        self._default = default_network(tenant)
        self._who = cloud, tenant

    def list_networks(self) -> Sequence[Network]:
        found, made = together(self._grounds, self._vpcs)
        own = [one for one in found if one.network == self._default]
        return [*([default_of(self._default, own)] if own else []), *(_network(one) for one in made)]

    def list_subnets(self) -> Sequence[Subnet]:
        return [subnet_of(one) for one in self._grounds()]

    def create_network(self, spec: NetworkSpec) -> Network:
        need_ref(spec.ref, "network")
        _range(spec.cidr)
        with self._cloud.turn(spec.ref):
            for before in self._vpcs():
                if _noted(before).ref == spec.ref:
                    return _network(before)
            if spec.default:
                raise Conflict("network", self._default, "there is a default network", "duplicate")
            zone = offerings.zone(self._tenant, self._cloud, self._cloud.zones[0])
            offering = offerings.vpc(self._tenant, self._cloud.options.vpc_offering)
            begun = self._client.begin(
                "createVPC",
                "network",
                spec.ref,
                name=spec.name or spec.ref,
                displaytext=notes.dump(spec.name, spec.ref, field="name"),
                cidr=spec.cidr,
                zoneid=zone["id"],
                vpcofferingid=offering["id"],
                start=False,
            )
            self._client.done(begun["jobid"], "network", spec.ref)
            self._tenant.forget()
        return _network(self._vpc(begun["id"]))

    def delete_network(self, native: str) -> None:
        if native == self._default:
            raise Denied("the default network cannot be deleted")
        for found in self._vpcs():
            if found["id"] == native:
                if any(one.network == native for one in self._grounds()):
                    raise Conflict("network", native, f"the network {native} has subnets", "in-use")
                if any(one.network == native and one.name != DEFAULT for one in rulebook.read(self._tenant).values()):
                    raise Conflict("network", native, f"the network {native} has security groups", "in-use")
                for one in self._own_lists(native):
                    self._client.do("deleteNetworkACLList", "network", native, id=one["id"])
                self._client.do("deleteVPC", "network", native, id=native)
                self._tenant.forget()

    def add_range(self, native: str, cidr: str) -> NoReturn:  # noqa: ARG002
        raise Unsupported(self._cloud.lacks[Capability.NETWORK_RANGES])

    def remove_range(self, native: str, cidr: str) -> None:
        self._demand(native)
        raise Invalid(f"{cidr} is not a further range of the network", "cidr")

    def create_subnet(self, spec: SubnetSpec) -> Subnet:
        need_ref(spec.ref, "subnet")
        cidr = _range(spec.cidr)
        with self._cloud.turn(spec.network):
            found = self._grounds()
            if before := next((one for one in found if one.ref == spec.ref), None):
                return subnet_of(before)
            zone = offerings.zone(self._tenant, self._cloud, spec.zone)
            self._check_range(spec, cidr, found, zone)
            offering = offerings.tier(self._tenant, self._cloud.options.network_offering)
            made = self._client.do(
                "createNetwork",
                "subnet",
                spec.ref,
                name=spec.name or spec.ref,
                displaytext=notes.dump(spec.name, spec.ref, field="name"),
                zoneid=zone["id"],
                networkofferingid=offering["id"],
                vpcid=spec.network,
                gateway=str(cidr[1]),
                netmask=str(cidr.netmask),
                aclid=self._denying(),
            )["network"]
        return subnet_of(next(one for one in self._grounds() if one.native == made["id"]))

    def delete_subnet(self, native: str) -> None:
        found, there = together(self._grounds, partial(machines.every, self._tenant))
        for one in found:
            if one.native == native:
                if one.network == self._default:
                    raise Denied("a subnet of the default network cannot be deleted")
                if any(nic["networkid"] == native for each in there for nic in each.get("nic", ())):
                    raise Conflict("subnet", native, f"a server is in the subnet {native}", "in-use")
                self._client.do("deleteNetwork", "subnet", native, id=native)

    def wire(self, native: str, wiring: Wiring) -> None:
        """Routes to the internet and none else; what is as it shall be is left alone."""
        now = self.wiring_of(native)
        if wiring == now:
            return
        if native == self._default:
            raise Unsupported(self._cloud.lacks[Capability.DEFAULT_NETWORK])
        own = [one.native for one in self._grounds() if one.network == native]
        self._check(wiring, own)
        if wiring.internet and not now.internet:
            self._tag("createTags", native)
        before, wanted = ({one.subnet for one in each.subnets if OUT in one.routes} for each in (now, wiring))
        if changed := [one for one in own if (one in before) != (one in wanted)]:
            filters.tend(*self._who, [native], routes={one: one in wanted for one in changed})
        if now.internet and not wiring.internet:
            self._tag("deleteTags", native)

    def wiring_of(self, native: str) -> Wiring:
        self._demand(native)
        found = [one for one in self._grounds() if one.network == native]
        if native == self._default:
            return all_out(found)
        vpc, closed = self._vpc(native), self._closed()
        out = {one.native: (one.item or {}).get("aclid") not in closed for one in found}
        internet = any(tag["key"] == INTERNET for tag in vpc.get("tags", ())) or any(out.values())
        subnets = tuple(SubnetWiring(one, (OUT,)) for one in sorted(out) if out[one])
        return Wiring(internet=internet, subnets=subnets)

    def _grounds(self) -> Sequence[Ground]:
        return grounds(self._client, self._cloud, self._tenant)

    def _vpcs(self) -> list[Item]:
        """In the order of their creation."""
        return sorted(self._tenant.all("listVPCs", "vpc"), key=lambda one: (one.get("created", ""), one["id"]))

    def _vpc(self, native: str) -> Item:
        for one in self._vpcs():
            if one["id"] == native:
                return one
        raise NotFound("network", native[:64])

    def _demand(self, native: str) -> None:
        if native != self._default:
            self._vpc(native)

    def _check_range(self, spec: SubnetSpec, cidr: IPv4Network, found: Sequence[Ground], zone: Item) -> None:
        if spec.network == self._default:
            raise Unsupported(self._cloud.lacks[Capability.DEFAULT_NETWORK])
        vpc = self._vpc(spec.network)
        if vpc["zoneid"] != zone["id"]:
            raise Unsupported(f"A VPC of CloudStack is in one zone: this one is in {vpc['zonename']}.")
        if not cidr.subnet_of(IPv4Network(vpc["cidr"])):
            raise Invalid(f"{cidr} is not within {vpc['cidr']}", "cidr")
        for one in found:
            if one.network == spec.network and cidr.overlaps(IPv4Network(one.cidr)):
                raise Conflict("subnet", one.native, f"{cidr} overlaps with {one.cidr}", "duplicate")

    def _check(self, wiring: Wiring, subnets: Sequence[str]) -> None:
        """Raises NotFound, Invalid, Unsupported."""
        for one in wiring.subnets:
            if one.subnet not in subnets:
                raise NotFound("subnet", one.subnet[:64])
            for route in one.routes:
                self._check_route(route, wiring)
            if OUT in one.routes and len(one.routes) > 1:
                raise Unsupported("CloudStack's routers drop all that leaves a subnet, or nothing.")
            if one.acl is not None:
                raise Unsupported(self._cloud.lacks[Capability.ACLS])
        if wiring.peers:
            raise Unsupported(self._cloud.lacks[Capability.PEERING])
        if wiring.dhcp != Dhcp() or not wiring.resolver:
            raise Unsupported(self._cloud.lacks[Capability.DHCP])

    def _check_route(self, route: Route, wiring: Wiring) -> None:
        if route.hop in (Hop.PORT, Hop.NAT):
            there = machines.every(self._tenant)
            if not any(nic["id"] == route.native for one in there for nic in one.get("nic", ())):
                raise NotFound("port", route.native[:64])
        if route.hop is Hop.PEER and route.native not in wiring.peers:
            raise NotFound("network", route.native[:64])
        if route.hop is Hop.INTERNET and not wiring.internet:
            raise Invalid("the network has no way to the internet", "routes")
        if route != OUT and route.hop is not Hop.NOWHERE:  # without a way out all is dropped
            raise Unsupported("Over CloudStack the only route is 0.0.0.0/0, to the internet.")

    def _tag(self, command: str, native: str) -> None:
        about = {"resourcetype": "Vpc", "resourceids": [native]}
        self._client.do(command, "network", native, **about, tags=[{"key": INTERNET, "value": "yes"}])

    def _lists(self) -> list[Item]:
        return self._client.every("listNetworkACLLists", "networkacllist")

    def _closed(self) -> set[str]:
        """The lists of subnets without a route to the internet."""
        return {one["id"] for one in self._lists() if tiers.is_closed(one)}

    def _denying(self) -> str:
        """CloudStack's own list that lets nothing pass: what a subnet has until there is something in it."""
        for one in self._lists():
            if one["name"] == tiers.DENY:
                return str(one["id"])
        raise Unsupported(f"The cloud has no list of filters {tiers.DENY}.")

    def _own_lists(self, vpc: str) -> list[Item]:
        return [one for one in self._lists() if tiers.is_own(one) and one.get("vpcid") == vpc]


def _noted(item: Item) -> notes.Noted:
    return notes.load(item.get("displaytext"))


def _network(item: Item) -> Network:
    said = _noted(item)
    return Network(item["id"], said.ref, said.text if said.ref else item["name"], item["cidr"])


def _range(text: str) -> IPv4Network:
    try:
        found = IPv4Network(text)
    except ValueError:
        raise Invalid(f"{text!r} is no range of addresses", "cidr") from None
    if found.prefixlen > _SMALLEST:
        raise Invalid(f"CloudStack's networks have a /{_SMALLEST} at least, unlike {text}", "cidr")
    return found
