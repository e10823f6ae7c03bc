"""A plan of networks comes back from its file as it was."""

from __future__ import annotations

from pathlib import Path

from isthmus.model import AclRule, Dhcp, Direction, Hop, Route, Rule
from isthmus.providers.local.netd.plan import FirewallPlan, NetworkPlan, Plan, PortPlan, PublicPlan, SubnetPlan


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    acl = (AclRule(100, Direction.EGRESS, True, "tcp", "0.0.0.0/0", 1, 80),)
    network = NetworkPlan(
        "net-1",
        ("10.0.0.0/16",),
        dhcp=Dhcp(domain="example.com", name_servers=("10.0.0.2",)),
        subnets=(
            SubnetPlan("subnet-1", "10.0.0.0/24", (Route("0.0.0.0/0", Hop.INTERNET),), acl),
            SubnetPlan("subnet-2", "10.0.1.0/24"),
        ),
        ports=(PortPlan("port-1", "subnet-1", "02:00:00:00:00:01", ("10.0.0.4", "10.0.0.5"), ("fw-1",)),),
        firewalls=(FirewallPlan("fw-1", (Rule(Direction.INGRESS, "-1", peer="fw-1"),)),),
        publics=(PublicPlan("127.13.0.1", "10.0.0.4", "port-1"),),
    )
    plan = Plan("/run/metadata.sock", (network,), routed="203.0.113.0/24")
    plan.save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == plan


def test_the_name_of_a_tap_fits_into_the_kernel() -> None:
    assert len(PortPlan("port-" + "0" * 100, "", "", ()).tap) == 15
