"""Actions that mean nothing on a private cloud, each with the reason. Answered with UnsupportedOperation."""

from __future__ import annotations

from isthmus.aws.ec2.api import ec2

_S3_BUNDLES = "It moves images through AWS's own S3 store; use CreateImage, or `isthmus image import`."
_MARKETPLACE = "It belongs to the AWS Marketplace, which a private cloud does not have."
_CLASSIC = "It belongs to EC2-Classic, which AWS retired in 2022."
_LONG_IDS = "Ids have 17 digits, and nobody can change that."
_SCREEN = "A guest's screen is not kept; GetConsoleOutput has what it prints on its serial console."
_NO_HOSTS = "There are no dedicated hosts: no cloud lets an account have a host to itself."
_IMPORT = "Images and disks are imported with `isthmus image import`, by whoever operates this."
_EXPORT = "It moves disks to AWS's own S3 store, which is not here."
_NO_FLOWS = "No cloud records which connections its networks had."
_NO_MAINTENANCE = "Only fleets of the type maintain are modified, and nobody replaces instances in the background."
_SPOT_FLEETS = "CreateFleet, which came after it, launches spot instances too."
_NEVER_HALTED = "The input and output of a volume is never halted."
_NO_REPORTS = "Nobody would read the report; tell it to whoever operates this."
_FAST_RESTORES = "Volumes of snapshots need no time to become fast, or cannot be made so."

ec2.unsupported.update(
    {
        **dict.fromkeys(("AllocateHosts", "ModifyHosts", "ReleaseHosts"), _NO_HOSTS),
        **dict.fromkeys(("ImportImage", "ImportInstance", "ImportSnapshot", "ImportVolume"), _IMPORT),
        **dict.fromkeys(("CancelConversionTask", "CancelImportTask"), _IMPORT),
        **dict.fromkeys(("CancelExportTask", "CreateInstanceExportTask", "ExportImage"), _EXPORT),
        "CreateFlowLogs": _NO_FLOWS,
        "ModifyFleet": _NO_MAINTENANCE,
        "RequestSpotFleet": _SPOT_FLEETS,
        "EnableVolumeIO": _NEVER_HALTED,
        "ReportInstanceStatus": _NO_REPORTS,
        "BundleInstance": _S3_BUNDLES,
        "CancelBundleTask": _S3_BUNDLES,
        "ConfirmProductInstance": _MARKETPLACE,
        "AttachClassicLinkVpc": _CLASSIC,
        "DetachClassicLinkVpc": _CLASSIC,
        "EnableVpcClassicLink": _CLASSIC,
        "DisableVpcClassicLink": _CLASSIC,
        "DisableFastSnapshotRestores": _FAST_RESTORES,
        "EnableFastSnapshotRestores": _FAST_RESTORES,
        "GetConsoleScreenshot": _SCREEN,
        "ModifyIdFormat": _LONG_IDS,
        "ModifyIdentityIdFormat": _LONG_IDS,
    }
)
