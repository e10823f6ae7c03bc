"""Block device mappings, and what EC2 knows of volume types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from isthmus.aws.errors import AwsError
from isthmus.core.disks import DiskOrder

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import BlockDeviceMappingTypeDef

VOLUME_TYPES = frozenset({"standard", "gp2", "gp3", "io1", "io2", "sc1", "st1"})
LARGEST = 65536
"""GiB."""
THROUGHPUT = 125
"""MiB/s that every gp3 volume has."""
_CHOOSE_IOPS = frozenset({"io1", "io2", "gp3"})
_NEED_IOPS = frozenset({"io1", "io2"})
_EBS = frozenset({"DeleteOnTermination", "Encrypted", "Iops", "SnapshotId", "Throughput", "VolumeSize", "VolumeType"})


def disk_orders(mappings: Sequence[BlockDeviceMappingTypeDef]) -> tuple[DiskOrder, ...]:
    """BlockDeviceMappings as the core takes them. Raises AwsError for what no disk can be."""
    orders = tuple(_order(one) for one in mappings)
    if len({order.device for order in orders}) < len(orders):
        raise AwsError("InvalidBlockDeviceMapping", "A device name can be mapped once only.")
    return orders


def demand_type(kind: str, iops: int, throughput: int) -> None:
    """Raises AwsError for a volume type that is none, or that cannot be as fast as asked for."""
    if iops and kind not in _CHOOSE_IOPS:
        raise AwsError("InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes.")
    if iops < 0:
        raise AwsError("InvalidParameterValue", f"Value ({iops}) for parameter iops is invalid.")
    if not iops and kind in _NEED_IOPS:
        raise AwsError("MissingParameter", f"The parameter iops must be specified for {kind} volumes.")
    if throughput and kind != "gp3":
        raise AwsError("InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes.")
    if throughput not in (0, THROUGHPUT):
        raise AwsError("UnsupportedOperation", f"A throughput other than gp3's own {THROUGHPUT} MiB/s is not kept.")


def demand_size(size: int) -> None:
    if not 1 <= size <= LARGEST:
        raise AwsError("InvalidParameterValue", f"Volume of {size}GiB is invalid: between 1 and {LARGEST} GiB.")


def _order(one: BlockDeviceMappingTypeDef) -> DiskOrder:
    device = one.get("DeviceName", "")
    if not device:
        raise AwsError("MissingParameter", "The request must contain the parameter DeviceName")
    if "NoDevice" in one:
        return DiskOrder(device, without=True)
    if one.get("VirtualName"):
        raise AwsError("UnsupportedOperation", "There are no instance store volumes.")
    ebs: Mapping[str, Any] = one.get("Ebs", {})
    for name, value in ebs.items():
        if name not in _EBS and value:
            raise AwsError("UnsupportedOperation", f"The parameter Ebs.{name} is not supported.")
    kind, iops, size = ebs.get("VolumeType", ""), ebs.get("Iops", 0), ebs.get("VolumeSize")
    if kind and kind not in VOLUME_TYPES:
        raise AwsError("InvalidParameterValue", f"Invalid value '{kind}' for VolumeType.")
    demand_type(kind or "gp2", iops, ebs.get("Throughput", 0))
    if size is not None:
        demand_size(size)
    return DiskOrder(
        device,
        size,
        kind,
        iops,
        ebs.get("SnapshotId", ""),
        ebs.get("DeleteOnTermination"),
        ebs.get("Encrypted", False),
    )
