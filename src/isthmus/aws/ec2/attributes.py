"""Attributes of instances."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Face, faces
from isthmus.aws.ec2.instances import demand_one_interface, mapping, metadata
from isthmus.aws.ec2.launch import metadata_options, user_data
from isthmus.aws.errors import AwsError
from isthmus.context import Context
from isthmus.core import instances, ports, servers, volumes
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance
from isthmus.errors import Conflict
from isthmus.model import ServerState

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeInstanceAttributeRequestTypeDef,
        DescribeInstanceCreditSpecificationsRequestTypeDef,
        GetInstanceUefiDataRequestTypeDef,
        ModifyInstanceAttributeRequestTypeDef,
        ModifyInstanceMetadataOptionsRequestTypeDef,
        ResetInstanceAttributeRequestTypeDef,
    )


def _value(value: Any) -> dict[str, Any]:
    """An attribute's value; nothing where it has none."""
    return {"Value": value} if value not in ("", None) else {}


# attribute -> the member of the answer and what stands in it
_READ: Mapping[str, tuple[str, Callable[[Face], Any]]] = {
    "instanceType": ("InstanceType", lambda face: _value(face.flavor)),
    "kernel": ("KernelId", lambda face: _value(face.kernel)),
    "ramdisk": ("RamdiskId", lambda face: _value(face.ramdisk)),
    "userData": ("UserData", lambda face: _value(face.instance.launch.user_data)),
    "disableApiTermination": ("DisableApiTermination", lambda face: _value(face.instance.launch.termination_protected)),
    "disableApiStop": ("DisableApiStop", lambda face: _value(face.instance.launch.stop_protected)),
    "instanceInitiatedShutdownBehavior": (
        "InstanceInitiatedShutdownBehavior",
        lambda face: _value(face.instance.launch.shutdown),
    ),
    "rootDeviceName": ("RootDeviceName", lambda face: _value(face.server.root_device)),
    "blockDeviceMapping": (
        "BlockDeviceMappings",
        lambda face: [mapping(face, disk) for disk in face.instance.disks],
    ),
    "productCodes": ("ProductCodes", lambda face: []),
    "sourceDestCheck": ("SourceDestCheck", lambda face: _value(all(port.port.source_check for port in face.ports[:1]))),
    "groupSet": (
        "Groups",
        lambda face: [{"GroupId": one.id, "GroupName": one.noun.name} for one in face.instance.groups],
    ),
    "ebsOptimized": ("EbsOptimized", lambda face: _value(face.instance.launch.ebs_optimized)),
    "sriovNetSupport": ("SriovNetSupport", lambda face: {}),
    "enaSupport": ("EnaSupport", lambda face: _value(True)),
    "enclaveOptions": ("EnclaveOptions", lambda face: {"Enabled": False}),
}
# the old spelling of a modification: Attribute=NAME, Value=TEXT
_SPELLINGS = {
    "instanceType": "InstanceType",
    "kernel": "Kernel",
    "ramdisk": "Ramdisk",
    "userData": "UserData",
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "sourceDestCheck": "SourceDestCheck",
    "ebsOptimized": "EbsOptimized",
    "enaSupport": "EnaSupport",
    "sriovNetSupport": "SriovNetSupport",
}
_LISTS = {"blockDeviceMapping": "BlockDeviceMappings", "groupSet": "Groups"}
_ONE = "Exactly one attribute can be modified at a time."
_OF_AN_INTERFACE = frozenset({"sourceDestCheck", "groupSet", "SourceDestCheck", "Groups"})
_STOPPED_ONLY = frozenset({"EbsOptimized", "InstanceType", "UserData"})
_FLAGS = {
    "DisableApiTermination": "termination_protected",
    "DisableApiStop": "stop_protected",
    "EbsOptimized": "ebs_optimized",
}


@ec2.action("DescribeInstanceAttribute")
def describe_instance_attribute(cx: Context, req: DescribeInstanceAttributeRequestTypeDef) -> Mapping[str, Any]:
    name = req["Attribute"]
    if name not in _READ:
        raise AwsError(
            "InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid. Unknown attribute."
        )
    [face] = faces(cx, [req["InstanceId"]])
    if face.server.state is ServerState.DELETED:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{face.id}' does not exist")
    if name in _OF_AN_INTERFACE:
        demand_one_interface(face.instance)
    member, read = _READ[name]
    return {"InstanceId": face.id, member: read(face)}


@ec2.action(
    "ModifyInstanceAttribute",
    refuses={
        "Kernel": "A server keeps the kernel it was launched with.",
        "Ramdisk": "A server keeps the ramdisk it was launched with.",
        "SriovNetSupport": "There is no SR-IOV.",
    },
)
def modify_instance_attribute(cx: Context, req: ModifyInstanceAttributeRequestTypeDef) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    _demand_there(one)
    wanted = _wanted(req)
    if len(wanted) != 1:
        raise AwsError("InvalidParameterCombination", _ONE)
    [(name, value)] = wanted.items()
    if name in _STOPPED_ONLY:
        _demand_stopped(one)
    if name in _OF_AN_INTERFACE:
        demand_one_interface(one)
    if name in _FLAGS:
        servers.change_launch(cx, one, **{_FLAGS[name]: bool(value)})
    else:
        _CHANGES[name](cx, one, value)
    return {}


@ec2.action("ResetInstanceAttribute")
def reset_instance_attribute(cx: Context, req: ResetInstanceAttributeRequestTypeDef) -> Mapping[str, Any]:
    name = req["Attribute"]
    if name in ("kernel", "ramdisk"):
        raise AwsError("UnsupportedOperation", f"A server keeps the {name} it was launched with.")
    if name != "sourceDestCheck":
        raise AwsError("InvalidParameterValue", f"The attribute {name[:64]} cannot be reset.")
    [one] = instances.pick(cx, [req["InstanceId"]])
    _demand_there(one)
    demand_one_interface(one)
    _source_check(cx, one, True)
    return {}


@ec2.action("GetInstanceUefiData")
def get_instance_uefi_data(cx: Context, req: GetInstanceUefiDataRequestTypeDef) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    raise AwsError("UnsupportedOperation", f"The instance '{one.id}' boots with a BIOS and has no UEFI data.")


@ec2.action("ModifyInstanceMetadataOptions")
def modify_instance_metadata_options(
    cx: Context, req: ModifyInstanceMetadataOptionsRequestTypeDef
) -> Mapping[str, Any]:
    [one] = instances.pick(cx, [req["InstanceId"]])
    _demand_there(one)
    servers.change_launch(cx, one, **metadata_options(req))
    [after] = instances.pick(cx, [one.id])
    return {"InstanceId": one.id, "InstanceMetadataOptions": metadata(after)}


@ec2.listing(
    "DescribeInstanceCreditSpecifications", key=("_ReservationId", "InstanceId"), ordered=True, exclusive="InstanceIds"
)
def describe_instance_credit_specifications(
    cx: Context, req: DescribeInstanceCreditSpecificationsRequestTypeDef
) -> Iterator[Mapping[str, Any]]:
    for face in faces(cx, req.get("InstanceIds")):
        if face.flavor.startswith("t") and face.server.state is not ServerState.DELETED:
            launch = face.instance.launch
            yield {"_ReservationId": launch.reservation, "InstanceId": face.id, "CpuCredits": launch.credits}


def _wanted(req: ModifyInstanceAttributeRequestTypeDef) -> dict[str, Any]:
    """What is to change, by the name of its parameter, however it was spelt."""
    said = {name: value for name, value in req.items() if name not in ("InstanceId", "Attribute", "Value")}
    attribute = req.get("Attribute", "")
    if not attribute:
        return {name: _inner(value) for name, value in said.items()}
    if attribute in _LISTS:
        return {_LISTS[attribute]: [], **said}
    if attribute not in _SPELLINGS:
        raise AwsError("InvalidParameterValue", f"Value ({attribute[:64]}) for parameter attribute is invalid.")
    name = _SPELLINGS[attribute]
    if name in ("Kernel", "Ramdisk", "SriovNetSupport"):
        raise AwsError("UnsupportedOperation", f"The attribute {attribute} of a server cannot be changed.")
    if said:
        raise AwsError("InvalidParameterCombination", _ONE)
    if "Value" not in req:
        raise AwsError("MissingParameter", "The request must contain the parameter value")
    is_flag = name in _FLAGS or name in ("EnaSupport", "SourceDestCheck")
    return {name: _flag(attribute, req["Value"]) if is_flag else req["Value"]}


def _flag(attribute: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise AwsError("InvalidParameterValue", f"Value ({value}) for parameter {attribute} is invalid.")
    return value.lower() == "true"


def _inner(value: Any) -> Any:
    return value.get("Value") if isinstance(value, Mapping) and "Value" in value else value


def _demand_there(one: Instance) -> None:
    if one.server.state is ServerState.DELETED:
        raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is terminated.")


def _demand_stopped(one: Instance) -> None:
    if one.server.state is not ServerState.STOPPED:
        raise Conflict(Kind.SERVER, one.id, f"The instance '{one.id}' is not in the 'stopped' state.")


def _type(cx: Context, one: Instance, value: str) -> None:
    servers.resize(cx, one, value)


def _user_data(cx: Context, one: Instance, value: str | bytes) -> None:
    text, data = user_data(base64.b64encode(value).decode() if isinstance(value, bytes) else value)
    servers.set_user_data(cx, one, text, data)


def _shutdown(cx: Context, one: Instance, value: str) -> None:
    if value not in ("stop", "terminate"):
        raise AwsError("InvalidParameterValue", f"Value ({value}) for instanceInitiatedShutdownBehavior is invalid.")
    servers.change_launch(cx, one, shutdown=value)


def _groups(cx: Context, one: Instance, value: list[str]) -> None:
    if not value:
        raise AwsError("InvalidParameterValue", "An instance has at least one security group.")
    servers.set_groups(cx, one, value)


def _source_check(cx: Context, one: Instance, value: bool) -> None:
    for port in one.server.ports:
        ports.api(cx.session(one.cloud)).set_source_check(port.native, bool(value))


def _disks(cx: Context, one: Instance, value: list[Mapping[str, Any]]) -> None:
    held = {
        attachment.device: disk
        for disk in one.disks
        for attachment in disk.noun.attachments
        if attachment.server == one.server.native
    }
    for item in value:
        device = item.get("DeviceName", "")
        if "NoDevice" in item or item.get("VirtualName"):
            raise AwsError("UnsupportedOperation", "Devices are attached and detached as volumes.")
        if device not in held:
            raise AwsError("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
    for item in value:
        keep = item.get("Ebs", {}).get("DeleteOnTermination")
        if keep is not None:
            disk = held[item["DeviceName"]]
            api = volumes.api(cx.session(disk.cloud))
            api.set_delete_with_server(disk.noun.native, one.server.native, keep)


def _ena(_: Context, __: Instance, value: bool) -> None:
    if not value:
        raise AwsError("UnsupportedOperation", "Network cards are always of the enhanced kind here.")


def _enclave(_: Context, __: Instance, value: Mapping[str, Any]) -> None:
    if value.get("Enabled"):
        raise AwsError("UnsupportedOperation", "There are no enclaves here.")


_CHANGES: Mapping[str, Callable[[Context, Instance, Any], None]] = {
    "InstanceType": _type,
    "UserData": _user_data,
    "InstanceInitiatedShutdownBehavior": _shutdown,
    "Groups": _groups,
    "SourceDestCheck": _source_check,
    "BlockDeviceMappings": _disks,
    "EnaSupport": _ena,
    "EnclaveOptions": _enclave,
}
