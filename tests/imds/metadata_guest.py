"""A guest to serve, and a running service that knows it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from metadata_relay import Client

from isthmus.imds.identity import Identity
from isthmus.imds.server import Metadata
from isthmus.imds.tokens import Tokens
from isthmus.imds.tree import Guest, Interface, SecurityGroup

FIRST = Interface(
    id="eni-0123456789abcdef0",
    mac="02:00:AC:1F:00:05",
    addresses=("172.31.0.5",),
    subnet_id="subnet-0123456789abcdef0",
    subnet_cidr="172.31.0.0/20",
    vpc_id="vpc-0123456789abcdef0",
    vpc_cidrs=("172.31.0.0/16",),
    security_groups=(SecurityGroup("sg-0a", "default"), SecurityGroup("sg-0b", "web")),
)
PUBLIC = replace(FIRST, publics={"203.0.113.7": "172.31.0.5"})
"""The same with a public address."""
GUEST = Guest(
    instance_id="i-0123456789abcdef0",
    reservation_id="r-0123456789abcdef0",
    account="123456789012",
    image_id="ami-0123456789abcdef0",
    instance_type="t3.micro",
    interfaces=(FIRST,),
    zone="us-east-1a",
    zone_id="use1-az1",
    region="us-east-1",
    pending_time=datetime(2026, 11, 20, 12, 30, 5, tzinfo=UTC),
    key_name="alice",
    public_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7 alice",
    user_data=b"#!/bin/sh\necho \xff\x00\n",
    tags={"Name": "one", "empty": "", "a b": "no", "a/b": "no", "..": "no", "_index": "no"},
    block_devices={"ami": "/dev/sda1", "root": "/dev/sda1", "ebs1": "/dev/sdf"},
)


class Service:
    """A running metadata service and the guests it knows."""

    def __init__(self, socket: Path, state: Path) -> None:
        self.socket = socket
        self.guests = {("acme", "vm-1"): GUEST, ("acme", "vm-2"): replace(GUEST, instance_id="i-0fedcba9876543210")}
        self.lookups: list[tuple[str, str]] = []
        self.now = 1_800_000_000.0
        self.identity = Identity.kept_in(state)
        self.metadata = Metadata(self.lookup, Tokens(b"s" * 32, lambda: self.now), self.identity)
        self.running = self.metadata.run_in_thread(socket)

    def lookup(self, tenant: str, native: str) -> Guest | None:
        self.lookups.append((tenant, native))
        if native == "broken":
            raise RuntimeError("the store is away")
        return self.guests.get((tenant, native))

    def change(self, native: str = "vm-1", **fields: object) -> None:
        self.guests["acme", native] = replace(self.guests["acme", native], **fields)  # type: ignore[arg-type]

    def client(self, native: str = "vm-1") -> Client:
        return Client(self.socket, f"ISTHMUS/1 acme {native}\n")
