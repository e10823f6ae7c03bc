"""How much an account may have: one table of quotas, each with what it begins as. The configuration sets others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    most: int
    """As on AWS, where that does not hinder a private cloud."""
    kind: str
    """What there is too much of, as a QuotaExceeded says it: fronts know their codes by it."""
    what: str
    per: str = "account"


# source of AWS's own figures: "Service Quotas" of EC2, EBS and VPC in the AWS General Reference
QUOTAS = {
    "instances": Quota(1000, "server", "live instances"),
    "spot_instances": Quota(1000, "spot-request", "live spot instances"),
    "interfaces_per_server": Quota(15, "attached-port", "network interfaces", "instance"),
    "addresses_per_interface": Quota(50, "private-address", "private addresses", "interface"),
    "groups_per_server": Quota(16, "guard", "security groups", "interface"),
    "volumes": Quota(10_000, "volume", "volumes"),
    "snapshots": Quota(100_000, "snapshot", "snapshots"),
    "images": Quota(50_000, "image", "images of its own"),
    "key_pairs": Quota(5000, "key", "key pairs"),
    "addresses": Quota(100, "address", "elastic IPs"),
    "vpcs": Quota(100, "network", "VPCs"),
    "ranges_per_vpc": Quota(5, "range", "ranges of addresses", "VPC"),
    "subnets_per_vpc": Quota(200, "subnet", "subnets", "VPC"),
    "interfaces": Quota(5000, "port", "network interfaces"),
    "groups": Quota(2500, "firewall", "security groups"),
    "rules_per_group": Quota(200, "rule", "rules of each direction", "security group"),
    "route_tables_per_vpc": Quota(200, "route-table", "route tables", "VPC"),
    "routes_per_table": Quota(500, "route", "routes", "route table"),
    "acls_per_vpc": Quota(200, "acl", "network ACLs", "VPC"),
    "rules_per_acl": Quota(20, "acl-rule", "rules of each direction", "network ACL"),
    "internet_gateways": Quota(100, "internet-gateway", "internet gateways"),
    "egress_gateways": Quota(100, "egress-gateway", "egress-only internet gateways"),
    "nat_gateways": Quota(100, "nat-gateway", "NAT gateways"),
    "dhcp_options": Quota(100, "dhcp-options", "sets of DHCP options"),
    "endpoints_per_vpc": Quota(255, "endpoint", "endpoints", "VPC"),
    "peerings_per_vpc": Quota(50, "active-peering", "active peering connections", "VPC"),
    "peering_requests": Quota(25, "peering", "peering connections that wait to be accepted"),
    "vpn_gateways": Quota(5, "vpn-gateway", "virtual private gateways"),
    "customer_gateways": Quota(50, "customer-gateway", "customer gateways"),
    "vpn_connections": Quota(50, "vpn-connection", "VPN connections"),
    "connections_per_vpn_gateway": Quota(10, "vpn-connection", "VPN connections", "virtual private gateway"),
    "launch_templates": Quota(5000, "launch-template", "launch templates"),
    "versions_per_template": Quota(10_000, "template-version", "versions", "launch template"),
    "placement_groups": Quota(500, "placement-group", "placement groups"),
    "capacity_reservations": Quota(1000, "capacity-reservation", "capacity reservations that have not ended"),
    "fleets": Quota(1000, "fleet", "fleets that are not deleted"),
}
