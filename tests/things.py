"""What an account has, to be compared before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from served import Account, client


def things(account: Account) -> Mapping[str, Any]:
    """What an account has that does not stay visible for a while after it is gone."""
    ec2 = client(account)
    gone = ("deleting", "deleted", "terminated", "shutting-down")
    reservations = ec2.describe_instances()["Reservations"]
    return {
        "vpcs": sorted(one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]),
        "subnets": sorted(one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]),
        "tables": sorted(one["RouteTableId"] for one in ec2.describe_route_tables()["RouteTables"]),
        "groups": sorted(one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]),
        "gateways": sorted(one["InternetGatewayId"] for one in ec2.describe_internet_gateways()["InternetGateways"]),
        "nats": sorted(
            one["NatGatewayId"] for one in ec2.describe_nat_gateways()["NatGateways"] if one["State"] not in gone
        ),
        "interfaces": sorted(
            one["NetworkInterfaceId"] for one in ec2.describe_network_interfaces()["NetworkInterfaces"]
        ),
        "acls": sorted(one["NetworkAclId"] for one in ec2.describe_network_acls()["NetworkAcls"]),
        "options": sorted(one["DhcpOptionsId"] for one in ec2.describe_dhcp_options()["DhcpOptions"]),
        "endpoints": sorted(
            one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"] if one["State"] not in gone
        ),
        "instances": sorted(
            one["InstanceId"] for each in reservations for one in each["Instances"] if one["State"]["Name"] not in gone
        ),
        "volumes": sorted(one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]),
        "snapshots": sorted(one["SnapshotId"] for one in ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]),
        "images": sorted(one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]),
        "addresses": sorted(one["AllocationId"] for one in ec2.describe_addresses()["Addresses"]),
        "keys": sorted(one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]),
        "templates": sorted(one["LaunchTemplateName"] for one in ec2.describe_launch_templates()["LaunchTemplates"]),
        "placements": sorted(one["GroupName"] for one in ec2.describe_placement_groups()["PlacementGroups"]),
    }
