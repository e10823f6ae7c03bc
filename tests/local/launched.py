"""A served embedded cloud, in which guests that answer are launched over EC2's API when they are first named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from served import Served, client, end_machines, eventually, serving

from .guests import SECONDS, Answers, Guest, asked_by_host, user_data

BOOT = 120
"""Seconds that a guest has from its launch until it answers."""
BUSY = 40.0
"""Seconds after which what should be answered on a busy host is not, however often it is asked."""
PATIENCE = 6
"""Seconds that one question waits if all of it should be answered."""
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@dataclass
class Vpc:
    """A VPC with a group `open` that lets everything in and out."""

    ec2: Any
    cidr: str
    internet: bool = False
    id: str = field(init=False)
    open: str = field(init=False)
    gateway: str = ""

    def __post_init__(self) -> None:
        self.id = self.ec2.create_vpc(CidrBlock=self.cidr)["Vpc"]["VpcId"]
        self.open = self.group("open", EVERYTHING)
        if self.internet:
            self.gateway = self.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
            self.ec2.attach_internet_gateway(VpcId=self.id, InternetGatewayId=self.gateway)

    def group(self, name: str, *ingress: Mapping[str, Any]) -> str:
        """A new group, which lets out all."""
        made: str = self.ec2.create_security_group(GroupName=name, Description="packets", VpcId=self.id)["GroupId"]
        if ingress:
            self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=ingress)
        return made

    def subnet(self, cidr: str) -> tuple[str, str]:
        """A subnet, and the route table of its own."""
        made: str = self.ec2.create_subnet(VpcId=self.id, CidrBlock=cidr)["Subnet"]["SubnetId"]
        table: str = self.ec2.create_route_table(VpcId=self.id)["RouteTable"]["RouteTableId"]
        self.ec2.associate_route_table(RouteTableId=table, SubnetId=made)
        return made, table


@dataclass
class Cloud:
    """`wanted` says of each guest the VPC and how its interface is to be made."""

    served: Served
    wanted: dict[str, tuple[Vpc, dict[str, Any]]] = field(default_factory=dict)
    running: dict[str, Guest] = field(default_factory=dict)

    def account(self, name: str) -> Any:
        """EC2, as a new account has it."""
        return client(self.served.new_account(name), read_timeout=120)

    def want(self, name: str, vpc: Vpc, subnet: str, address: str, **interface: Any) -> None:
        nic = {"DeviceIndex": 0, "SubnetId": subnet, "PrivateIpAddress": address, "Groups": [vpc.open], **interface}
        self.wanted[name] = (vpc, nic)

    def guests(self, *names: str) -> list[Guest]:
        """Guests that answer."""
        launched = {name: self._launch(name) for name in names if name not in self.running}
        for name, (id_, interface) in launched.items():
            directory = eventually(lambda id_=id_: self._ready(id_), seconds=BOOT)  # type: ignore[misc]
            assert directory
            address = self.wanted[name][1]["PrivateIpAddress"]
            self.running[name] = Guest(name, id_, address, interface, directory)
        return [self.running[name] for name in names]

    def _launch(self, name: str) -> tuple[str, str]:
        vpc, nic = self.wanted[name]
        asked = {"InstanceType": "t2.nano", "MinCount": 1, "MaxCount": 1, "UserData": user_data(name)}
        image = vpc.ec2.describe_images(Filters=[{"Name": "name", "Values": ["isthmus-tiny"]}])["Images"][0]["ImageId"]
        [made] = vpc.ec2.run_instances(ImageId=image, NetworkInterfaces=[nic], **asked)["Instances"]
        return made["InstanceId"], made["NetworkInterfaces"][0]["NetworkInterfaceId"]

    def _ready(self, instance: str) -> Path | None:
        """The directory of an instance's machine once its user data ran."""
        for console in self.served.state.rglob("console.log"):
            said = console.read_text(errors="replace")
            if f"instance-id {instance}" in said and "tiny: ready" in said:
                return console.parent
        return None

    def ec2(self, guest: Guest) -> Any:
        """EC2, as a guest's account has it."""
        return self.wanted[guest.name][0].ec2

    def public(self, guest: Guest) -> str:
        """The public address of a guest, if it has one."""
        reservations = self.ec2(guest).describe_instances(InstanceIds=[guest.id])["Reservations"]
        [[found]] = [one["Instances"] for one in reservations]
        return str(found.get("PublicIpAddress", ""))

    @contextmanager
    def grouped(self, guest: Guest, *ingress: Mapping[str, Any]) -> Iterator[str]:
        """A new group, which lets out all, in which alone a guest is for a while."""
        vpc = self.wanted[guest.name][0]
        made = vpc.group(f"group of {guest.name}", *ingress)
        self.put(guest, made)
        try:
            yield made
        finally:
            self.put(guest, vpc.open)
            vpc.ec2.delete_security_group(GroupId=made)

    def put(self, guest: Guest, *groups: str) -> None:
        """A guest is in these groups from now on."""
        self.ec2(guest).modify_network_interface_attribute(NetworkInterfaceId=guest.interface, Groups=list(groups))


@contextmanager
def cloud(place: Path, settings: str = "") -> Iterator[Cloud]:
    """A service whose cloud makes networks of namespaces; whatever it started is ended."""
    (place / "isthmus.toml").write_text(f'[clouds.local]\nkind = "local"\nnetwork = "namespaces"\n{settings}')
    try:
        with serving(place / "state", "--config", str(place / "isthmus.toml")) as served:
            made = Cloud(served)
            yield made
            for guest in made.running.values():
                guest.close()
    finally:
        end_machines(place / "state")


def rule(protocol: str, port: int, *, cidr: str = "", group: str = "") -> dict[str, Any]:
    """Of one port, and from or to one peer."""
    peer = {"IpRanges": [{"CidrIp": cidr}]} if cidr else {"UserIdGroupPairs": [{"GroupId": group}]}
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, **peer}


def passes(guest: Guest, to: Guest, *protocols: str, at: str = "") -> None:
    """What a guest asks another by these protocols is answered, and by no other protocol."""
    expected = to.answers(guest.address, *protocols)
    seconds = SECONDS if protocols else PATIENCE
    eventually(lambda: guest.asks(at or to.address, seconds=seconds), expected.__eq__, BUSY)


def blocked(guest: Guest, to: Guest | str) -> None:
    answered = guest.asks(to if isinstance(to, str) else to.address)
    assert answered == {}


def reached(address: str, expected: Answers) -> None:
    """What this host asks at an address is answered like that."""
    eventually(lambda: asked_by_host(address), expected.__eq__, BUSY)
