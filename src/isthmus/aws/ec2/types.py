"""Instance types: the clouds' flavors."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import ports, servers
from isthmus.model import Flavor

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import DescribeInstanceTypesRequestTypeDef

_OLD = frozenset({"t1", "m1", "m2", "m3", "c1", "c3", "t2", "r3", "i2", "m4", "c4", "r4"})
_FREE_TIER = frozenset({"t2.micro", "t3.micro"})


@ec2.listing("DescribeInstanceTypes", key="InstanceType", exclusive="InstanceTypes")
def describe_instance_types(cx: Context, req: DescribeInstanceTypesRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    """IncludeUnsupportedInRegion changes nothing: there is one region."""
    known = {name: one for cloud in cx.world.clouds for name, one in servers.flavors(cx, cloud).items()}
    wanted: Sequence[str] = req.get("InstanceTypes") or list(known)
    for one in wanted:
        if one not in known and not fnmatch.filter(known, one):
            message = f"The following supplied instance types do not exist: [{one}]"
            raise AwsError("InvalidInstanceType", message)
    names = {name for one in wanted for name in ([one] if one in known else fnmatch.filter(known, one))}
    return (render(cx, known[name]) for name in sorted(names))


def render(cx: Context, flavor: Flavor) -> dict[str, Any]:
    """An InstanceTypeInfo of the model."""
    interfaces, addresses = ports.most(cx)
    family = flavor.name.partition(".")[0]
    return {
        "InstanceType": flavor.name,
        "CurrentGeneration": family not in _OLD,
        "FreeTierEligible": flavor.name in _FREE_TIER,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": False,
        "Hypervisor": "nitro",
        "ProcessorInfo": {"SupportedArchitectures": [flavor.architecture], "Manufacturer": "QEMU"},
        "VCpuInfo": {
            "DefaultVCpus": flavor.cpus,
            "DefaultCores": flavor.cpus,
            "DefaultThreadsPerCore": 1,
            "ValidCores": [flavor.cpus],
            "ValidThreadsPerCore": [1],
        },
        "MemoryInfo": {"SizeInMiB": flavor.memory},
        "InstanceStorageSupported": False,
        "EbsInfo": {
            "EbsOptimizedSupport": "unsupported",
            "EncryptionSupport": "unsupported",
            "NvmeSupport": "unsupported",
        },
        "NetworkInfo": {
            "NetworkPerformance": "Low to Moderate",
            "MaximumNetworkInterfaces": interfaces,
            "MaximumNetworkCards": 1,
            "DefaultNetworkCardIndex": 0,
            "NetworkCards": [
                {"NetworkCardIndex": 0, "NetworkPerformance": "Low to Moderate", "MaximumNetworkInterfaces": interfaces}
            ],
            "Ipv4AddressesPerInterface": addresses,
            "Ipv6AddressesPerInterface": 0,
            "Ipv6Supported": False,
            "EnaSupport": "supported",
            "EfaSupported": False,
            "EncryptionInTransitSupported": False,
            "EnaSrdSupported": False,
        },
        "PlacementGroupInfo": {"SupportedStrategies": ["cluster", "spread", "partition"]},
        "HibernationSupported": False,
        "BurstablePerformanceSupported": family.startswith("t"),
        "DedicatedHostsSupported": False,
        "AutoRecoverySupported": False,
        "SupportedBootModes": ["legacy-bios"],
        "NitroEnclavesSupport": "unsupported",
        "NitroTpmSupport": "unsupported",
        "NitroTpmInfo": {"SupportedVersions": []},
        "PhcSupport": "unsupported",
    }
