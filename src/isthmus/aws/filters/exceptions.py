"""Filters whose names do not say where in the item their values are, by shape.

A name that ends in a dot stands for all names that begin with it. A member that begins with `_` is no part of the
answer: listings put it into an item for its filters alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ITEM_SHAPES: Mapping[str, str] = MappingProxyType(
    {"DescribeInstances": "Instance", "DescribeVpcEndpointServices": "ServiceDetail"}
)
"""What a listing yields, where it is not what its answer's list is made of."""

_IMAGE_DISK = {
    "delete-on-termination": ("Ebs", "DeleteOnTermination"),
    "encrypted": ("Ebs", "Encrypted"),
    "snapshot-id": ("Ebs", "SnapshotId"),
    "volume-size": ("Ebs", "VolumeSize"),
    "volume-type": ("Ebs", "VolumeType"),
}

_INSTANCE_DISK = {
    "attach-time": ("Ebs", "AttachTime"),
    "delete-on-termination": ("Ebs", "DeleteOnTermination"),
    "status": ("Ebs", "Status"),
    "volume-id": ("Ebs", "VolumeId"),
}

_GROUPS = {"group-id": ("Groups", "GroupId"), "group-name": ("Groups", "GroupName")}

_STATE_REASON = {
    "product-code": ("ProductCodes", "ProductCodeId"),
    "state-reason-code": ("StateReason", "Code"),
    "state-reason-message": ("StateReason", "Message"),
}

_SUMMARY = {"reachability": ("Details", "Status")}

_INSTANCE = {
    **_STATE_REASON,
    "affinity": ("Placement", "Affinity"),
    "availability-zone": ("Placement", "AvailabilityZone"),
    "availability-zone-id": ("Placement", "AvailabilityZoneId"),
    "group-id": ("SecurityGroups", "GroupId"),
    "group-name": ("SecurityGroups", "GroupName"),
    "host-id": ("Placement", "HostId"),
    "instance-state-code": ("State", "Code"),
    "instance-state-name": ("State", "Name"),
    "instance.group-id": ("SecurityGroups", "GroupId"),
    "instance.group-name": ("SecurityGroups", "GroupName"),
    "launch-index": ("AmiLaunchIndex",),
    "metadata-options.http-protocol-ipv4": ("MetadataOptions", "HttpEndpoint"),
    "monitoring-state": ("Monitoring", "State"),
    "network-interface.attachment.instance-id": ("InstanceId",),
    "network-interface.attachment.instance-owner-id": ("_OwnerId",),
    "network-interface.availability-zone": ("Placement", "AvailabilityZone"),
    "network-interface.outpost-arn": ("OutpostArn",),
    "owner-id": ("_OwnerId",),
    "placement-group-name": ("Placement", "GroupName"),
    "placement-partition-number": ("Placement", "PartitionNumber"),
    "requester-id": ("_RequesterId",),
    "reservation-id": ("_ReservationId",),
    "tenancy": ("Placement", "Tenancy"),
}

_INSTANCE_INTERFACE = {
    **_GROUPS,
    "addresses.": ("PrivateIpAddresses",),
    "deny-all-igw-traffic": ("_DenyAllIgwTraffic",),
    "ipv6-address": ("Ipv6Addresses", "Ipv6Address"),
    "ipv6-native": ("_Ipv6Native",),
    "public-dns-name": ("Association", "PublicDnsName"),
    "requester-id": ("_RequesterId",),
    "requester-managed": ("_RequesterManaged",),
    "tag-key": ("_TagSet", "Key"),
    "tag-value": ("_TagSet", "Value"),
}

_SPOT_REQUEST = {
    "fault-code": ("Fault", "Code"),
    "fault-message": ("Fault", "Message"),
    "status-code": ("Status", "Code"),
    "status-message": ("Status", "Message"),
    "launch.block-device-mapping.delete-on-termination": (
        "LaunchSpecification",
        "BlockDeviceMappings",
        "Ebs",
        "DeleteOnTermination",
    ),
    "launch.block-device-mapping.device-name": ("LaunchSpecification", "BlockDeviceMappings", "DeviceName"),
    "launch.block-device-mapping.snapshot-id": ("LaunchSpecification", "BlockDeviceMappings", "Ebs", "SnapshotId"),
    "launch.block-device-mapping.volume-size": ("LaunchSpecification", "BlockDeviceMappings", "Ebs", "VolumeSize"),
    "launch.block-device-mapping.volume-type": ("LaunchSpecification", "BlockDeviceMappings", "Ebs", "VolumeType"),
    "launch.group-id": ("LaunchSpecification", "SecurityGroups", "GroupId"),
    "launch.group-name": ("LaunchSpecification", "SecurityGroups", "GroupName"),
    "launch.monitoring-enabled": ("LaunchSpecification", "Monitoring", "Enabled"),
    "launch.": ("LaunchSpecification",),
    "network-interface.addresses.primary": (
        "LaunchSpecification",
        "NetworkInterfaces",
        "PrivateIpAddresses",
        "Primary",
    ),
    "network-interface.group-id": ("LaunchSpecification", "NetworkInterfaces", "Groups"),
    "network-interface.": ("LaunchSpecification", "NetworkInterfaces"),
}

_TEMPLATE_VERSION = {
    "ebs-optimized": ("LaunchTemplateData", "EbsOptimized"),
    "host-resource-group-arn": ("LaunchTemplateData", "Placement", "HostResourceGroupArn"),
    "http-endpoint": ("LaunchTemplateData", "MetadataOptions", "HttpEndpoint"),
    "http-protocol-ipv4": ("LaunchTemplateData", "MetadataOptions", "HttpEndpoint"),
    "http-tokens": ("LaunchTemplateData", "MetadataOptions", "HttpTokens"),
    "iam-instance-profile": ("LaunchTemplateData", "IamInstanceProfile", "Arn"),
    "image-id": ("LaunchTemplateData", "ImageId"),
    "instance-type": ("LaunchTemplateData", "InstanceType"),
    "is-default-version": ("DefaultVersion",),
    "kernel-id": ("LaunchTemplateData", "KernelId"),
    "license-configuration-arn": ("LaunchTemplateData", "LicenseSpecifications", "LicenseConfigurationArn"),
    "network-card-index": ("LaunchTemplateData", "NetworkInterfaces", "NetworkCardIndex"),
    "ram-disk-id": ("LaunchTemplateData", "RamDiskId"),
}

EXCEPTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "AvailabilityZone": {"message": ("Messages", "Message")},
        "BlockDeviceMapping": _IMAGE_DISK,
        "BundleTask": {
            "error-code": ("BundleTaskError", "Code"),
            "error-message": ("BundleTaskError", "Message"),
            "s3-bucket": ("Storage", "S3", "Bucket"),
            "s3-prefix": ("Storage", "S3", "Prefix"),
        },
        "Image": {
            **_STATE_REASON,
            "instance-type-specification.supported-instance-type": (
                "InstanceTypeSpecification",
                "SupportedInstanceTypes",
                "InstanceType",
            ),
            "instance-type-specification.unsupported-instance-type": (
                "InstanceTypeSpecification",
                "UnsupportedInstanceTypes",
                "InstanceType",
            ),
            "manifest-location": ("ImageLocation",),
            "owner-alias": ("ImageOwnerAlias",),
        },
        "FleetData": {
            "activity-status": ("_ActivityStatus",),
            "excess-capacity-termination-policy": ("_TerminatesExcess",),
            "fleet-state": ("_FleetState",),
        },
        "InstanceBlockDeviceMapping": _INSTANCE_DISK,
        "Instance": _INSTANCE,
        "InstanceNetworkInterface": _INSTANCE_INTERFACE,
        "InstanceNetworkInterfaceAssociation": {
            "allocation-id": ("_AllocationId",),
            "association-id": ("_AssociationId",),
        },
        "InstanceStatus": {
            "instance-state-code": ("InstanceState", "Code"),
            "instance-state-name": ("InstanceState", "Name"),
        },
        "InstanceStatusSummary": _SUMMARY,
        "DhcpOptions": {"key": ("DhcpConfigurations", "Key"), "value": ("DhcpConfigurations", "Values", "Value")},
        "ImportImageTask": {"task-state": ("Status",)},
        "InstanceTypeInfo": {"supported-usage-class": ("SupportedUsageClasses",)},
        "IpPermission": {
            "cidr": ("IpRanges", "CidrIp"),
            "group-id": ("UserIdGroupPairs", "GroupId"),
            "group-name": ("UserIdGroupPairs", "GroupName"),
            "ipv6-cidr": ("Ipv6Ranges", "CidrIpv6"),
            "prefix-list-id": ("PrefixListIds", "PrefixListId"),
            "protocol": ("IpProtocol",),
            "user-id": ("UserIdGroupPairs", "UserId"),
        },
        "KeyPairInfo": {"fingerprint": ("KeyFingerprint",)},
        "LaunchTemplateVersion": _TEMPLATE_VERSION,
        "SpotInstanceRequest": _SPOT_REQUEST,
        "NetworkAclAssociation": {"association-id": ("NetworkAclAssociationId",)},
        "NetworkAclEntry": {"cidr": ("CidrBlock",), "icmp.": ("IcmpTypeCode",), "ipv6-cidr": ("Ipv6CidrBlock",)},
        "NetworkInterface": {**_GROUPS, "addresses.": ("PrivateIpAddresses",)},
        "NetworkInterfaceAssociation": {"owner-id": ("IpOwnerId",)},
        "SecurityGroup": {"egress.ip-permission.": ("IpPermissionsEgress",)},
        "Subnet": {"cidr": ("CidrBlock",)},
        "SubnetIpv6CidrBlockAssociation": {"state": ("Ipv6CidrBlockState", "State")},
        "VolumeStatusItem": {
            "attachment-status.instance-id": ("AttachmentStatuses", "InstanceId"),
            "attachment-status.io-performance": ("AttachmentStatuses", "IoPerformance"),
            "volume-status.details-name": ("VolumeStatus", "Details", "Name"),
            "volume-status.details-status": ("VolumeStatus", "Details", "Status"),
        },
        "TagDescription": {"tag-key": ("Key",), "tag-value": ("Value",)},
        "Vpc": {"cidr": ("CidrBlock",)},
        "VpcEndpoint": {"vpc-endpoint-state": ("State",)},
        "ServiceDetail": {"service-type": ("ServiceType", "ServiceType")},
        "VpnConnection": {"bgp-asn": ("_BgpAsn",), "option.": ("Options",), "route.": ("Routes",)},
        "VpcPeeringConnection": {"status-code": ("Status", "Code"), "status-message": ("Status", "Message")},
        "VpcCidrBlockAssociation": {"state": ("CidrBlockState", "State")},
        "VpcClassicLink": {"is-classic-link-enabled": ("ClassicLinkEnabled",)},
        "VpcIpv6CidrBlockAssociation": {"state": ("Ipv6CidrBlockState", "State")},
    }
)
