"""What CloudStack cannot do, each with the reason and what would help: in all zones, and in those of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from isthmus.providers import Capability

_EVERYWHERE = {
    Capability.CONSOLE: "CloudStack keeps no text of consoles: open the server's console in its own interface",
    Capability.KERNEL: "CloudStack boots what is in a template: make a template with the kernel in it",
    Capability.ROOT_KEPT: "CloudStack deletes a root disk with its server: make a snapshot of it before",
    Capability.PORTS: "CloudStack's interfaces are on servers alone, and it holds no address for one that is on none: "
    "describe interfaces at launch",
    Capability.KEY_PUBLIC: "CloudStack tells fingerprints of keys alone: keep the public key where it was made",
    Capability.SNAPSHOT_UNUSED: "CloudStack makes a volume's data as it is first attached: attach it once",
    Capability.SNAPSHOT_SHARE: "CloudStack's snapshots are their account's alone: share an image of one",
    Capability.VOLUME_RETYPE: "Isthmus does not do so over CloudStack yet: make a volume of a snapshot",
    Capability.MULTI_ATTACH: "CloudStack has a volume on one server: attach one volume to each server",
    Capability.ENCRYPTION: "CloudStack encrypts what its offerings say: choose a type of volume that does",
    Capability.IMAGE_SHARE_SNAPSHOTS: "CloudStack's snapshots are their account's alone: share images of one disk",
    Capability.IMAGE_COPY: "CloudStack copies templates between zones alone: make an image of its snapshot again",
    Capability.IMAGE_IMPORT: "CloudStack fetches templates itself: say the file's URL, where it can reach it",
    Capability.DHCP: "Isthmus does not do so over CloudStack yet: subnets have what the operator gave their zone",
    Capability.PEERING: "CloudStack has no peerings of networks: use one network",
}

GROUPED: Mapping[Capability, str] = MappingProxyType(
    {
        **_EVERYWHERE,
        Capability.RUNNING_FIREWALLS: "CloudStack changes the groups of stopped servers alone: stop the server first",
        Capability.DEFAULT_MEMBERS: "CloudStack's default groups let in nobody: add a rule for the group's own members",
        Capability.SERVER_PORTS: "CloudStack connects a server to one network in zones with security groups: use VPCs",
        Capability.NETWORK_RANGES: "CloudStack's shared networks have the ranges that their operator gave them",
        Capability.NETWORKS: "zones with security groups have one network that all share: use one with VPCs",
        Capability.ROUTES: "CloudStack's shared networks have one way out: it cannot be changed",
        Capability.ACLS: "zones with security groups have no filters of subnets: use security groups",
        Capability.DEFAULT_NETWORK: "CloudStack's shared networks are their operator's: ask there",
    }
)
"""In zones with security groups."""

UNGROUPED: Mapping[Capability, str] = MappingProxyType(
    {
        **_EVERYWHERE,
        Capability.ADDRESS_ANY_ZONE: "CloudStack's public addresses are in one zone: allocate one of the zone's own",
        Capability.NETWORK_RANGES: "CloudStack's VPCs keep the one range that they are made with: make another VPC",
        Capability.ACLS: "CloudStack's filters of subnets let all answers pass, judging none: use security groups",
        Capability.DEFAULT_NETWORK: "CloudStack makes an account's default network by itself: use a VPC",
    }
)
"""In all others."""
