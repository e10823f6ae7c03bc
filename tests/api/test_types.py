"""Instance types: the catalogue in AWS's full shape."""

from __future__ import annotations

from asking import refusal, where


def names(ec2, **asked):
    return [one["InstanceType"] for one in ec2.describe_instance_types(**asked)["InstanceTypes"]]


def test_a_type_says_all_that_clients_read(ec2):
    [found] = ec2.describe_instance_types(InstanceTypes=["t3.micro"])["InstanceTypes"]

    assert found["VCpuInfo"]["DefaultVCpus"] == 2
    assert found["VCpuInfo"]["DefaultCores"] * found["VCpuInfo"]["DefaultThreadsPerCore"] == 2
    assert found["MemoryInfo"] == {"SizeInMiB": 1024}
    assert (found["CurrentGeneration"], found["FreeTierEligible"], found["BareMetal"]) == (True, True, False)
    assert (found["BurstablePerformanceSupported"], found["InstanceStorageSupported"]) == (True, False)
    assert found["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    assert found["NetworkInfo"]["MaximumNetworkInterfaces"] == 15
    assert found["NetworkInfo"]["Ipv4AddressesPerInterface"] == 50
    assert found["NetworkInfo"]["EnaSupport"] == "supported"
    assert found["SupportedRootDeviceTypes"] == ["ebs"]
    assert found["SupportedVirtualizationTypes"] == ["hvm"]
    assert found["SupportedUsageClasses"] == ["on-demand", "spot"]
    assert found["SupportedBootModes"] == ["legacy-bios"]


def test_the_catalogue_has_old_and_new_families(ec2):
    every = names(ec2)

    assert every == sorted(every)
    assert {"t1.micro", "t2.micro", "t3.micro", "m1.small", "m3.medium", "m5.large"} <= set(every)


def test_types_are_found_by_name_and_by_what_they_are(ec2):
    assert names(ec2, InstanceTypes=["t2.*"]) == names(ec2, Filters=where(instance_type="t2.*"))
    assert names(ec2, InstanceTypes=["m5.large", "t2.*", "t2.nano"]).count("t2.nano") == 1
    assert refusal(ec2.describe_instance_types, InstanceTypes=["q9.huge"]) == "InvalidInstanceType"
    wanted = {
        "current-generation": "false",
        "vcpu-info.default-vcpus": "1",
        "memory-info.size-in-mib": "627",
        "instance-type": "t1.micro",
    }
    found = names(ec2, Filters=[{"Name": name, "Values": [value]} for name, value in wanted.items()])
    assert found == ["t1.micro"]
    for name, value in {
        "bare-metal": "true",
        "processor-info.supported-architecture": "arm64",
        "supported-usage-class": "capacity-block",
        "instance-storage-supported": "true",
    }.items():
        assert names(ec2, Filters=[{"Name": name, "Values": [value]}]) == [], name


def test_pages_together_are_the_catalogue(ec2):
    pages = ec2.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": 20})

    assert [one["InstanceType"] for page in pages for one in page["InstanceTypes"]] == names(ec2)
