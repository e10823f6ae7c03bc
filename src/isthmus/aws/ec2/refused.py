"""Actions that mean nothing on a private cloud, each with the reason. Answered with UnsupportedOperation."""

from __future__ import annotations

from isthmus.aws.ec2.api import ec2

_S3_BUNDLES = "It moves images through AWS's own S3 store; use CreateImage, or `isthmus image import`."
_MARKETPLACE = "It belongs to the AWS Marketplace, which a private cloud does not have."
_CLASSIC = "It belongs to EC2-Classic, which AWS retired in 2022."

ec2.unsupported.update(
    {
        "BundleInstance": _S3_BUNDLES,
        "CancelBundleTask": _S3_BUNDLES,
        "ConfirmProductInstance": _MARKETPLACE,
        "AttachClassicLinkVpc": _CLASSIC,
        "DetachClassicLinkVpc": _CLASSIC,
        "EnableVpcClassicLink": _CLASSIC,
        "DisableVpcClassicLink": _CLASSIC,
    }
)
