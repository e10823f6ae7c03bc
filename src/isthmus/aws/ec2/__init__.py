"""EC2: one module per resource family. Importing the package serves them all."""

from isthmus.aws.ec2 import (  # noqa: F401 - each registers its actions
    absent,
    account,
    account_settings,
    addresses,
    attributes,
    capacity,
    copies,
    groups,
    id_formats,
    image_attributes,
    images,
    instances,
    interface_attributes,
    interfaces,
    keys,
    launch,
    launch_templates,
    monitoring,
    networks,
    offerings,
    placement_groups,
    profiles,
    refused,
    snapshot_attributes,
    snapshots,
    spot,
    tags,
    types,
    volume_changes,
    volumes,
    zones,
)
from isthmus.aws.ec2.api import ec2

__all__ = ["ec2"]
