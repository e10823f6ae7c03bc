"""Every waiter that clients of EC2 have: what each awaits, over a cloud on which nothing takes time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTENT: Mapping[str, tuple[str, str]] = {
    "customer_gateway_available": ("CustomerGatewayIds", "customer gateway"),
    "image_available": ("ImageIds", "image"),
    "image_exists": ("ImageIds", "image"),
    "instance_exists": ("InstanceIds", "running"),
    "instance_running": ("InstanceIds", "running"),
    "instance_status_ok": ("InstanceIds", "running"),
    "instance_stopped": ("InstanceIds", "stopped"),
    "instance_terminated": ("InstanceIds", "terminated"),
    "internet_gateway_exists": ("InternetGatewayIds", "internet gateway"),
    "key_pair_exists": ("KeyNames", "key"),
    "nat_gateway_available": ("NatGatewayIds", "nat gateway"),
    "nat_gateway_deleted": ("NatGatewayIds", "deleted nat gateway"),
    "network_interface_available": ("NetworkInterfaceIds", "interface"),
    "security_group_exists": ("GroupIds", "group"),
    "snapshot_completed": ("SnapshotIds", "snapshot"),
    "spot_instance_request_fulfilled": ("SpotInstanceRequestIds", "spot request"),
    "subnet_available": ("SubnetIds", "subnet"),
    "system_status_ok": ("InstanceIds", "running"),
    "volume_available": ("VolumeIds", "volume"),
    "volume_deleted": ("VolumeIds", "deleted volume"),
    "volume_in_use": ("VolumeIds", "volume in use"),
    "vpc_available": ("VpcIds", "vpc"),
    "vpc_exists": ("VpcIds", "vpc"),
    "vpc_peering_connection_deleted": ("VpcPeeringConnectionIds", "deleted peering"),
    "vpc_peering_connection_exists": ("VpcPeeringConnectionIds", "peering"),
    "vpn_connection_available": ("VpnConnectionIds", "vpn connection"),
    "vpn_connection_deleted": ("VpnConnectionIds", "deleted vpn connection"),
}
"""Waiter -> the parameter, and the word of `furnish` for what is there."""
IN_VAIN: Mapping[str, tuple[str, str, str]] = {
    "bundle_task_complete": ("BundleIds", "bun-1", "InvalidBundleID.NotFound"),
    "conversion_task_cancelled": ("ConversionTaskIds", "import-i-1", "InvalidConversionTaskId"),
    "conversion_task_completed": ("ConversionTaskIds", "import-i-1", "InvalidConversionTaskId"),
    "conversion_task_deleted": ("ConversionTaskIds", "import-i-1", "InvalidConversionTaskId"),
    "export_task_cancelled": ("ExportTaskIds", "export-i-1", "InvalidExportTaskID.NotFound"),
    "export_task_completed": ("ExportTaskIds", "export-i-1", "InvalidExportTaskID.NotFound"),
    "password_data_available": ("InstanceId", "i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
    "snapshot_imported": ("ImportTaskIds", "import-snap-1", "InvalidConversionTaskId"),
}
"""Waiter -> the parameter, a thing that this cloud cannot have, and the code with which the waiter ends at once."""
UNSERVED: Mapping[str, str] = {
    "image_usage_report_available": "There are no reports of who uses an image.",
    "secondary_network_create_complete": "Guests have interfaces of one network.",
    "secondary_network_delete_complete": "Guests have interfaces of one network.",
    "secondary_subnet_create_complete": "Guests have interfaces of one network.",
    "secondary_subnet_delete_complete": "Guests have interfaces of one network.",
    "security_group_vpc_association_associated": "A group belongs to one VPC.",
    "security_group_vpc_association_disassociated": "A group belongs to one VPC.",
    "store_image_task_complete": "There is no S3 store that images could be moved to.",
}
"""Waiter -> why its action is not served: it ends at once with UnsupportedOperation."""


def furnish(ec2: Any, image: str) -> dict[str, str]:
    """One of everything that is awaited, by its word. What is made is there at once, and what is deleted is gone."""
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 3, "MaxCount": 3}
    running, stopped, terminated = [one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]]
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[terminated])
    volumes = [ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"] for _ in range(3)]
    ec2.attach_volume(VolumeId=volumes[1], InstanceId=running, Device="/dev/sdf")
    ec2.delete_volume(VolumeId=volumes[2])
    bid = ec2.request_spot_instances(LaunchSpecification={"ImageId": image, "InstanceType": "t3.micro"})
    ec2.create_key_pair(KeyName="key")
    return {
        **_networks(ec2),
        "running": running,
        "stopped": stopped,
        "terminated": terminated,
        "volume": volumes[0],
        "volume in use": volumes[1],
        "deleted volume": volumes[2],
        "snapshot": ec2.create_snapshot(VolumeId=volumes[0])["SnapshotId"],
        "image": ec2.create_image(InstanceId=stopped, Name="image")["ImageId"],
        "spot request": bid["SpotInstanceRequests"][0]["SpotInstanceRequestId"],
        "key": "key",
    }


def _networks(ec2: Any) -> dict[str, str]:
    vpc, other = (ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"] for number in (7, 8))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24")["Subnet"]["SubnetId"]
    nats = [ec2.create_nat_gateway(SubnetId=subnet, ConnectivityType="private")["NatGateway"] for _ in range(2)]
    ec2.delete_nat_gateway(NatGatewayId=nats[1]["NatGatewayId"])
    peer = {"VpcId": vpc, "PeerVpcId": other}
    gone = ec2.create_vpc_peering_connection(**peer)["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=gone)
    vgw = ec2.create_vpn_gateway(Type="ipsec.1")["VpnGateway"]["VpnGatewayId"]
    cgws = [
        ec2.create_customer_gateway(Type="ipsec.1", PublicIp=f"198.51.100.{number}")["CustomerGateway"]
        for number in (1, 2)
    ]
    vpns = [
        ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=one["CustomerGatewayId"], VpnGatewayId=vgw)[
            "VpnConnection"
        ]["VpnConnectionId"]
        for one in cgws
    ]
    ec2.delete_vpn_connection(VpnConnectionId=vpns[1])
    return {
        "vpc": vpc,
        "subnet": subnet,
        "group": ec2.create_security_group(GroupName="group", Description="d", VpcId=vpc)["GroupId"],
        "interface": ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"],
        "internet gateway": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "nat gateway": nats[0]["NatGatewayId"],
        "deleted nat gateway": nats[1]["NatGatewayId"],
        "peering": ec2.create_vpc_peering_connection(**peer)["VpcPeeringConnection"]["VpcPeeringConnectionId"],
        "deleted peering": gone,
        "customer gateway": cgws[0]["CustomerGatewayId"],
        "vpn connection": vpns[0],
        "deleted vpn connection": vpns[1],
    }
