"""What one project has is not there for another one, on any action, on a real OpenStack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import real_openstack
from isolation import demand_unknown, demand_unlisted
from places import PLACES
from real_openstack import until

ZONE = "us-east-1a"
SHARED = {"pl": "the lists of prefixes are the services', and all accounts see the same ones"}
"""The prefixes of ids of what no account has for itself."""
Undo = Callable[..., object]


@pytest.fixture(scope="module")
def theirs(ec2: Any) -> Iterator[dict[str, str]]:
    """Of what the project `demo` can have: one of everything, by the prefix of its id."""
    with ExitStack() as undo:
        after = undo.callback
        yield _Furnished(ec2, after).has


class _Furnished:
    """One of everything; `after` is told what is to be done at the end, the last first."""

    def __init__(self, ec2: Any, after: Undo) -> None:
        self.ec2, self.after = ec2, after
        self.has: dict[str, str] = {}
        [subnet] = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        self.default, self.default_vpc = subnet["SubnetId"], subnet["VpcId"]
        self.asked = real_openstack.launch(ec2)
        self._names()
        self._network()
        self._gateways()
        self._disks()
        self._parts()
        self._instance()
        self._requests()

    def _names(self) -> None:
        ec2, after = self.ec2, self.after
        key = ec2.create_key_pair(KeyName="isolated")
        after(ec2.delete_key_pair, KeyName="isolated")
        data = {name: self.asked[name] for name in ("ImageId", "InstanceType")}
        template = ec2.create_launch_template(LaunchTemplateName="isolated", LaunchTemplateData=data)["LaunchTemplate"]
        after(ec2.delete_launch_template, LaunchTemplateId=template["LaunchTemplateId"])
        places = ec2.create_placement_group(GroupName="isolated", Strategy="cluster")["PlacementGroup"]["GroupId"]
        after(ec2.delete_placement_group, GroupName="isolated")
        reserved = ec2.create_capacity_reservation(
            InstanceType="m1.nano", InstancePlatform="Linux/UNIX", AvailabilityZone=ZONE, InstanceCount=1
        )["CapacityReservation"]["CapacityReservationId"]
        after(ec2.cancel_capacity_reservation, CapacityReservationId=reserved)
        options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.org"]}])
        options = options["DhcpOptions"]["DhcpOptionsId"]
        after(ec2.delete_dhcp_options, DhcpOptionsId=options)
        self.has |= {"key": key["KeyPairId"], "lt": template["LaunchTemplateId"], "pg": places, "cr": reserved}
        self.has |= {"dopt": options, "groupname": "isolated", "keyname": "isolated"}

    def _network(self) -> None:
        ec2, after = self.ec2, self.after
        vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
        after(ec2.delete_vpc, VpcId=vpc)
        further = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.8.0.0/16")["CidrBlockAssociation"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
        after(ec2.delete_subnet, SubnetId=subnet)
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        after(ec2.delete_route_table, RouteTableId=table)
        uses = ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)["AssociationId"]
        after(ec2.disassociate_route_table, AssociationId=uses)
        acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
        after(ec2.delete_network_acl, NetworkAclId=acl)
        of_subnet = [{"Name": "association.subnet-id", "Values": [subnet]}]
        [first] = ec2.describe_network_acls(Filters=of_subnet)["NetworkAcls"][0]["Associations"]
        group = ec2.create_security_group(GroupName="isolated", Description="d", VpcId=vpc)["GroupId"]
        after(ec2.delete_security_group, GroupId=group)
        [rule] = ec2.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=2, CidrIp="10.0.0.0/8"
        )["SecurityGroupRules"]
        self.has |= {"vpc": vpc, "subnet": subnet, "rtb": table, "rtbassoc": uses, "acl": acl, "sg": group}
        self.has |= {"vpc-cidr-assoc": further["AssociationId"], "aclassoc": first["NetworkAclAssociationId"]}
        self.has["sgr"] = rule["SecurityGroupRuleId"]

    def _gateways(self) -> None:
        ec2, after, vpc = self.ec2, self.after, self.has["vpc"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        after(ec2.delete_internet_gateway, InternetGatewayId=gateway)
        out = ec2.create_egress_only_internet_gateway(VpcId=vpc)["EgressOnlyInternetGateway"]
        out = out["EgressOnlyInternetGatewayId"]
        after(ec2.delete_egress_only_internet_gateway, EgressOnlyInternetGatewayId=out)
        nat = ec2.create_nat_gateway(SubnetId=self.has["subnet"], ConnectivityType="private")["NatGateway"]
        known = {"NatGatewayIds": [nat["NatGatewayId"]], "WaiterConfig": {"Delay": 1}}
        after(ec2.get_waiter("nat_gateway_deleted").wait, **known)
        after(ec2.delete_nat_gateway, NatGatewayId=nat["NatGatewayId"])
        ec2.get_waiter("nat_gateway_available").wait(**known)
        endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName="com.amazonaws.us-east-1.s3")["VpcEndpoint"]
        after(ec2.delete_vpc_endpoints, VpcEndpointIds=[endpoint["VpcEndpointId"]])
        vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
        after(ec2.delete_vpn_gateway, VpnGatewayId=vgw)
        cgw = ec2.create_customer_gateway(Type="ipsec.1", PublicIp="198.51.100.7")["CustomerGateway"]
        cgw = cgw["CustomerGatewayId"]
        after(ec2.delete_customer_gateway, CustomerGatewayId=cgw)
        vpn = ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=cgw, VpnGatewayId=vgw)["VpnConnection"]
        after(ec2.delete_vpn_connection, VpnConnectionId=vpn["VpnConnectionId"])
        peering = ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=self.default_vpc)["VpcPeeringConnection"]
        after(ec2.delete_vpc_peering_connection, VpcPeeringConnectionId=peering["VpcPeeringConnectionId"])
        self.has["pcx"] = peering["VpcPeeringConnectionId"]
        self.has |= {"igw": gateway, "eigw": out, "nat": nat["NatGatewayId"], "vpce": endpoint["VpcEndpointId"]}
        self.has |= {"vgw": vgw, "cgw": cgw, "vpn": vpn["VpnConnectionId"]}

    def _disks(self) -> None:
        ec2, after = self.ec2, self.after
        image, snapshot, volume = real_openstack.image_of_a_volume(ec2, "isolated", "/dev/sda1")
        after(ec2.delete_volume, VolumeId=volume)
        there = [{"Name": "snapshot-id", "Values": [snapshot]}]
        # its volume cannot be deleted before
        after(until, lambda: ec2.describe_snapshots(Filters=there)["Snapshots"], [])
        after(ec2.delete_snapshot, SnapshotId=snapshot)
        after(ec2.deregister_image, ImageId=image)
        self.has |= {"ami": image, "snap": snapshot, "vol": volume}

    def _parts(self) -> None:
        """A kernel and a ramdisk, which come by Glance alone."""
        glance = real_openstack.connection("demo").image
        for form in ("aki", "ari"):
            made = glance.create_image(
                f"isolated {form}", data=b"1", container_format=form, disk_format=form, visibility="private", wait=True
            )
            self.after(glance.delete_image, made)
            named = [{"Name": "name", "Values": [f"isolated {form}"]}]
            [found] = self.ec2.describe_images(Filters=named)["Images"]
            self.has[form] = found["ImageId"]

    def _instance(self) -> None:
        ec2, after = self.ec2, self.after
        port = ec2.create_network_interface(SubnetId=self.default)["NetworkInterface"]["NetworkInterfaceId"]
        after(ec2.delete_network_interface, NetworkInterfaceId=port)
        address = ec2.allocate_address()
        after(ec2.release_address, AllocationId=address["AllocationId"])
        instance = self._launched(ec2.run_instances(**self.asked)["Instances"][0]["InstanceId"])
        uses = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=instance)["AssociationId"]
        after(ec2.disassociate_address, AssociationId=uses)
        attached = ec2.attach_network_interface(NetworkInterfaceId=port, InstanceId=instance, DeviceIndex=1)
        profile = ec2.associate_iam_instance_profile(InstanceId=instance, IamInstanceProfile={"Name": "isolated"})[
            "IamInstanceProfileAssociation"
        ]["AssociationId"]
        self.has |= {"i": instance, "eni": port, "eni-attach": attached["AttachmentId"], "iip-assoc": profile}
        self.has |= {"eipalloc": address["AllocationId"], "eipassoc": uses, "number": address["PublicIp"]}

    def _requests(self) -> None:
        """What launches instances by itself."""
        ec2 = self.ec2
        data = {name: self.asked[name] for name in ("ImageId", "InstanceType")}
        [bid] = ec2.request_spot_instances(LaunchSpecification=data)["SpotInstanceRequests"]
        fleet = ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": {"LaunchTemplateId": self.has["lt"], "Version": "1"}}
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
        )
        for known in (bid["InstanceId"], fleet["Instances"][0]["InstanceIds"][0]):
            self._launched(known)
        self.has |= {"sir": bid["SpotInstanceRequestId"], "fleet": fleet["FleetId"]}

    def _launched(self, instance: str) -> str:
        """One that runs, until the end."""
        known = {"InstanceIds": [instance], "WaiterConfig": {"Delay": 1, "MaxAttempts": 120}}
        self.after(self.ec2.get_waiter("instance_terminated").wait, **known)
        self.after(self.ec2.terminate_instances, InstanceIds=[instance])
        self.ec2.get_waiter("instance_running").wait(**known)
        return instance


def test_there_is_one_of_all_that_an_action_can_name(ec2, their_ec2, theirs):
    assert {place.prefix for place in PLACES} == theirs.keys() | SHARED.keys()
    assert not SHARED.keys() & theirs.keys()
    lists = [one.describe_managed_prefix_lists()["PrefixLists"] for one in (ec2, their_ec2)]
    assert lists[0] == lists[1]
    assert {"AWS"} == {one["OwnerId"] for one in lists[0]}


def test_another_projects_thing_is_as_unknown_as_one_that_never_was(isthmus, theirs):
    demand_unknown(isthmus.front, isthmus.account, isthmus.alt, theirs, 250)


def test_nothing_of_another_project_is_listed(isthmus, theirs):
    demand_unlisted(isthmus.front, isthmus.alt, theirs)
