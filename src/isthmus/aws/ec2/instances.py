"""Instances: what they are, and starting and stopping them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from isthmus.aws.codec import Item
from isthmus.aws.ec2.api import ec2
from isthmus.aws.ec2.faces import Face, faces
from isthmus.aws.ec2.portfaces import interface
from isthmus.aws.ec2.profiles import profile
from isthmus.aws.ec2.states import ROOT_TYPES, state
from isthmus.aws.errors import AwsError
from isthmus.aws.rendered import rendered
from isthmus.aws.tagging import tag_set
from isthmus.context import Context
from isthmus.core import servers
from isthmus.core.instance import Instance, Unlisted
from isthmus.core.spot import request_id
from isthmus.model import Condition, ServerState, Verdict

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import (
        DescribeInstancesRequestTypeDef,
        DescribeInstanceStatusRequestTypeDef,
        GetConsoleOutputRequestTypeDef,
        GetPasswordDataRequestTypeDef,
        RebootInstancesRequestTypeDef,
        StartInstancesRequestTypeDef,
        StopInstancesRequestTypeDef,
        TerminateInstancesRequestTypeDef,
    )


def fold(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Instances by reservation."""
    return {
        "Reservations": [
            {"ReservationId": one, "OwnerId": held[0]["_OwnerId"], "Groups": [], "Instances": held}
            for one, group in groupby(items, key=lambda item: str(item["_ReservationId"]))
            if (held := list(group))
        ]
    }


@ec2.listing(
    "DescribeInstances",
    key=("_ReservationId", "InstanceId"),
    ordered=True,
    fold=fold,
    exclusive="InstanceIds",
    least=5,
)
def describe_instances(cx: Context, req: DescribeInstancesRequestTypeDef) -> Iterator[Item]:
    """IncludeManagedResources changes nothing: no instance is managed.

    Who looks for volumes is told if nothing can be asked of them: an answer without them would say that there are none.
    """
    by_volumes = any(name.startswith("block-device-mapping.") for name in cx.filtered)
    for face in faces(cx, req.get("InstanceIds")):
        if by_volumes:
            _ = face.instance.disks
        yield render(face)


@ec2.listing(
    "DescribeInstanceStatus", key=("_ReservationId", "InstanceId"), ordered=True, exclusive="InstanceIds", least=5
)
def describe_instance_status(cx: Context, req: DescribeInstanceStatusRequestTypeDef) -> Iterator[Mapping[str, Any]]:
    """IncludeManagedResources changes nothing: no instance is managed."""
    told = req.get("IncludeAllInstances")
    wanted = [one for one in faces(cx, req.get("InstanceIds")) if told or one.server.state is ServerState.RUNNING]
    conditions = servers.conditions(cx, [one.instance for one in wanted])
    for face in wanted:
        yield status(face, conditions.get(face.id))


@ec2.action("StartInstances", refuses={"AdditionalInfo": "It is reserved by AWS."})
def start_instances(cx: Context, req: StartInstancesRequestTypeDef) -> Mapping[str, Any]:
    return {"StartingInstances": [change(*one) for one in servers.start(cx, req["InstanceIds"])]}


@ec2.action("StopInstances", refuses={"Hibernate": "Memory is not kept over a stop."})
def stop_instances(cx: Context, req: StopInstancesRequestTypeDef) -> Mapping[str, Any]:
    return {"StoppingInstances": [change(*one) for one in servers.stop(cx, req["InstanceIds"], force=_force(req))]}


def _force(req: StopInstancesRequestTypeDef | TerminateInstancesRequestTypeDef) -> bool:
    """Whether the operating system is not waited for."""
    return bool(req.get("Force", False) or req.get("SkipOsShutdown", False))


@ec2.action("RebootInstances")
def reboot_instances(cx: Context, req: RebootInstancesRequestTypeDef) -> Mapping[str, Any]:
    servers.reboot(cx, req["InstanceIds"])
    return {}


@ec2.action("TerminateInstances")
def terminate_instances(cx: Context, req: TerminateInstancesRequestTypeDef) -> Mapping[str, Any]:
    return {"TerminatingInstances": [change(*one) for one in servers.delete(cx, req["InstanceIds"], force=_force(req))]}


@ec2.action("GetConsoleOutput")
def get_console_output(cx: Context, req: GetConsoleOutputRequestTypeDef) -> Mapping[str, Any]:
    """The newest output always, so Latest changes nothing."""
    console = servers.console(cx, req["InstanceId"])
    output = base64.b64encode(console.output).decode()
    return {"InstanceId": req["InstanceId"], "Timestamp": console.at, "Output": output}


@ec2.action("GetPasswordData")
def get_password_data(cx: Context, req: GetPasswordDataRequestTypeDef) -> Mapping[str, Any]:
    password = servers.password(cx, req["InstanceId"])
    return {"InstanceId": req["InstanceId"], "Timestamp": cx.now(), "PasswordData": password}


def demand_one_interface(one: Instance) -> None:
    """What is an interface's own is asked and changed of each by itself, where there are several."""
    if len(one.server.ports) > 1:
        message = f"There are multiple interfaces attached to instance '{one.id}'. Please specify an interface ID."
        raise AwsError("InvalidInstanceID", message)


def change(before: Instance, after: Instance) -> dict[str, Any]:
    """An InstanceStateChange."""
    return {
        "InstanceId": before.id,
        "CurrentState": state(after.server.state),
        "PreviousState": state(before.server.state),
    }


def status(face: Face, condition: Condition | None) -> Mapping[str, Any]:
    """An InstanceStatus; without a condition it does not run."""
    return {
        "_ReservationId": face.instance.launch.reservation,
        "InstanceId": face.id,
        "AvailabilityZone": face.zone,
        "AvailabilityZoneId": face.zone_id,
        "InstanceState": state(face.server.state),
        "InstanceStatus": _checks(condition.guest if condition else None, condition),
        "SystemStatus": _checks(condition.machine if condition else None, condition),
        "Events": [],
    }


def _checks(verdict: Verdict | None, condition: Condition | None) -> dict[str, Any]:
    """An InstanceStatusSummary."""
    if verdict is None:
        return {"Status": "not-applicable", "Details": []}
    summary, passed = _VERDICTS[verdict]
    detail: dict[str, Any] = {"Name": "reachability", "Status": passed}
    if verdict is Verdict.IMPAIRED and condition and condition.since:
        detail["ImpairedSince"] = condition.since
    return {"Status": summary, "Details": [detail]}


@rendered
def render(face: Face) -> dict[str, Any]:
    """An Instance of the model; what a reservation says of it too stands under names with a `_`."""
    server, launch = face.server, face.instance.launch
    live = server.state is not ServerState.DELETED
    said: dict[str, Any] = {
        "_OwnerId": face.account,
        "_ReservationId": launch.reservation,
        "InstanceId": face.id,
        "ImageId": face.image,
        "State": state(server.state),
        "PrivateDnsName": face.private_name if live else "",
        "PublicDnsName": face.public_address if live else "",
        "StateTransitionReason": _why(face) if server.state in _EXPLAINED else "",
        "AmiLaunchIndex": launch.index,
        "ProductCodes": [],
        "InstanceType": face.flavor,
        "LaunchTime": server.started,
        "Placement": placement(face),
        "Monitoring": {"State": "enabled" if launch.monitored else "disabled"},
        "Architecture": server.architecture,
        "RootDeviceType": ROOT_TYPES[server.local_root],
        "RootDeviceName": server.root_device,
        "BlockDeviceMappings": _mappings(face),
        "VirtualizationType": "hvm",
        "Hypervisor": "xen",
        "ClientToken": launch.token,
        "EbsOptimized": launch.ebs_optimized,
        "EnaSupport": True,
        "SourceDestCheck": server.ports[0].source_check if server.ports else True,
        "SecurityGroups": [{"GroupId": one.id, "GroupName": one.noun.name} for one in face.instance.groups],
        "NetworkInterfaces": [interface(port) for port in face.ports],
        "CpuOptions": {"CoreCount": face.cpus, "ThreadsPerCore": 1},
        "MetadataOptions": metadata(face.instance),
        "HibernationOptions": {"Configured": False},
        "EnclaveOptions": {"Enabled": False},
        "MaintenanceOptions": {"AutoRecovery": "disabled", "RebootMigration": "disabled"},
        "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
        "BootMode": "legacy-bios",
        "CurrentInstanceBootMode": "legacy-bios",
        "UsageOperation": "RunInstances",
        "UsageOperationUpdateTime": server.created,
        "PlatformDetails": "Windows" if server.platform else "Linux/UNIX",
        "PrivateDnsNameOptions": _NAMES,
    }
    optional = {
        "Platform": server.platform,
        "InstanceLifecycle": "spot" if launch.spot else "",
        "SpotInstanceRequestId": request_id(face.id) if launch.spot else "",
        "KeyName": launch.key or server.key,
        "IamInstanceProfile": profile(launch.profile) if launch.profile else None,
        "KernelId": face.kernel,
        "RamdiskId": face.ramdisk,
        "Tags": tag_set(face.instance.tags),
        **(_network(face) if live else {}),
    }
    said.update({name: value for name, value in optional.items() if value})
    if server.state in _REASONS:
        code, message = _FROM_WITHIN if server.shut_down else _REASONS[server.state]
        why = server.reason if server.state is ServerState.ERROR else ""
        said["StateReason"] = {"Code": code, "Message": f"{code}: {why or message}"}
    return said


_VERDICTS = {
    Verdict.OK: ("ok", "passed"),
    Verdict.INITIALIZING: ("initializing", "initializing"),
    Verdict.IMPAIRED: ("impaired", "failed"),
    Verdict.UNKNOWN: ("insufficient-data", "insufficient-data"),
}
_NAMES = {
    "HostnameType": "ip-name",
    "EnableResourceNameDnsARecord": False,
    "EnableResourceNameDnsAAAARecord": False,
}
_EXPLAINED = frozenset({ServerState.STOPPED, ServerState.STOPPING, ServerState.DELETING, ServerState.DELETED})
_FROM_WITHIN = ("Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
_REASONS = {
    ServerState.STOPPED: ("Client.UserInitiatedShutdown", "User initiated shutdown"),
    ServerState.DELETING: ("Client.UserInitiatedShutdown", "User initiated shutdown"),
    ServerState.DELETED: ("Client.UserInitiatedShutdown", "User initiated shutdown"),
    ServerState.ERROR: ("Server.InternalError", "The server could not be started."),
}


def _why(face: Face) -> str:
    """Who brought a server into its state, and what its cloud says of it."""
    said = (face.instance.launch.reason, face.server.reason)
    return ": ".join(dict.fromkeys(one for one in said if one))


def placement(face: Face) -> dict[str, Any]:
    """A Placement."""
    launch = face.instance.launch
    optional = {"GroupId": launch.group, "PartitionNumber": launch.partition}
    return {
        "AvailabilityZone": face.zone,
        "AvailabilityZoneId": face.zone_id,
        "GroupName": launch.group_name,
        "Tenancy": "default",
        **{name: value for name, value in optional.items() if value},
    }


def _network(face: Face) -> dict[str, Any]:
    return {
        "PrivateIpAddress": face.private_address,
        "PublicIpAddress": face.public_address,
        "SubnetId": face.subnet,
        "VpcId": face.network,
    }


def metadata(instance: Instance) -> dict[str, Any]:
    """An InstanceMetadataOptionsResponse."""
    launch = instance.launch
    return {
        "State": "applied",
        "HttpTokens": launch.http_tokens,
        "HttpPutResponseHopLimit": launch.hop_limit,
        "HttpEndpoint": launch.http_endpoint,
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": launch.metadata_tags,
    }


def _mappings(face: Face) -> list[dict[str, Any]]:
    """While nothing can be asked of volumes, their ids are all that is told."""
    if isinstance(face.instance.volumes, Unlisted):
        return [{"Ebs": {"VolumeId": one}} for one in face.instance.volumes.ids]
    return [mapping(face, disk) for disk in face.instance.disks]


def mapping(face: Face, disk: Any) -> dict[str, Any]:
    """An InstanceBlockDeviceMapping."""
    held = next(one for one in disk.noun.attachments if one.server == face.server.native)
    return {
        "DeviceName": held.device,
        "Ebs": {
            "VolumeId": disk.id,
            "Status": held.state.value,
            "AttachTime": held.since,
            "DeleteOnTermination": held.delete_with_server,
        },
    }
