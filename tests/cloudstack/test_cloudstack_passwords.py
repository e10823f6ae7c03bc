"""The password that CloudStack makes for a machine is told to the owner of its key pair, and to nobody else."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from emulated_cloudstack import Isthmus


def launched(isthmus: Isthmus, ec2: Any, **more: Any) -> str:
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian"]}])["Images"][0]["ImageId"]
    [made] = ec2.run_instances(ImageId=image, InstanceType="Tiny", MinCount=1, MaxCount=1, **more)["Instances"]

    isthmus.wait(ec2, made["InstanceId"], "running")
    return str(made["InstanceId"])


def passworded(isthmus: Isthmus) -> None:
    """Let templates make passwords."""
    for one in isthmus.emulated.templates:
        one["passwordenabled"] = True


def test_a_password_can_be_read_with_the_private_key(isthmus: Isthmus, ec2: Any) -> None:
    passworded(isthmus)
    key = ec2.create_key_pair(KeyName="k")["KeyMaterial"]
    instance = launched(isthmus, ec2, KeyName="k")

    told = ec2.get_password_data(InstanceId=instance)["PasswordData"]

    private = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    password = private.decrypt(base64.b64decode(told), padding.PKCS1v15()).decode()
    [job] = [one for one in isthmus.emulated.jobs.values() if one.command == "deployVirtualMachine"]
    assert job.result
    assert password == job.result["virtualmachine"]["password"]


def test_where_there_is_no_password_none_is_told(isthmus: Isthmus, ec2: Any) -> None:
    plain = launched(isthmus, ec2)
    passworded(isthmus)
    keyless = launched(isthmus, ec2)

    assert ["", ""] == [ec2.get_password_data(InstanceId=one)["PasswordData"] for one in (plain, keyless)]
