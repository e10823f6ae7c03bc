"""Questions about fleets, and the shortest way to ask for one."""

from __future__ import annotations

from datetime import UTC, datetime

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def web(ec2, image, name="web", **data):
    """A template of small instances."""
    said = {"ImageId": image, "InstanceType": "t3.micro", **data}
    made = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=said)
    return made["LaunchTemplate"]["LaunchTemplateId"]


def config(template, *overrides, **spec):
    said = {"LaunchTemplateId": template, "Version": "$Latest", **spec}
    return {"LaunchTemplateSpecification": said, "Overrides": list(overrides)}


def create(ec2, template, *overrides, total=1, kind="instant", capacity=None, **asked):
    return ec2.create_fleet(
        Type=kind,
        LaunchTemplateConfigs=[config(template, *overrides)],
        TargetCapacitySpecification={"TotalTargetCapacity": total, **(capacity or {})},
        **asked,
    )


def types(*names):
    return [{"InstanceType": name} for name in names]


def told(ec2, known):
    [found] = ec2.describe_fleets(FleetIds=[known])["Fleets"]
    return found


def ids(answer):
    return [known for one in answer["Instances"] for known in one["InstanceIds"]]
