"""What an account sets for itself."""

from __future__ import annotations

from asking import disks, refusal, volume

from isthmus.providers import Capability

ZONE = {"AvailabilityZone": "us-east-1a"}


def test_volumes_are_encrypted_by_default_from_when_that_is_switched_on(house, ec2, image):
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    before = ec2.create_volume(Size=1, **ZONE)["VolumeId"]

    assert ec2.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True

    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is True
    assert ec2.create_volume(Size=1, **ZONE)["Encrypted"]
    assert ec2.create_volume(Size=1, Encrypted=False, **ZONE)["Encrypted"]
    assert not volume(ec2, before)["Encrypted"]
    extra = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}}]
    asked = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "BlockDeviceMappings": extra}
    launched = ec2.run_instances(**asked)["Instances"][0]["InstanceId"]
    house.settle()
    assert [one["Encrypted"] for one in disks(ec2, launched).values()] == [True, True]


def test_encryption_by_default_can_be_switched_off_again(ec2):
    ec2.enable_ebs_encryption_by_default()

    assert ec2.disable_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
    assert not ec2.create_volume(Size=1, **ZONE)["Encrypted"]


def test_encryption_that_no_cloud_can_do_is_not_switched_on(house, ec2, monkeypatch):
    monkeypatch.setattr(type(house.cloud), "lacks", {Capability.ENCRYPTION: "There is no key store."})

    assert refusal(ec2.enable_ebs_encryption_by_default) == "UnsupportedOperation"
    assert ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False


def test_access_to_serial_consoles_is_off_until_it_is_switched_on(ec2):
    assert ec2.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is False
    assert ec2.enable_serial_console_access()["SerialConsoleAccessEnabled"] is True
    assert ec2.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is True
    assert ec2.disable_serial_console_access()["SerialConsoleAccessEnabled"] is False
    assert ec2.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is False


def test_settings_are_an_accounts_own_and_do_not_disturb_each_other(ec2, stranger):
    ec2.enable_serial_console_access()
    ec2.enable_ebs_encryption_by_default()

    assert ec2.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is True
    assert stranger.get_serial_console_access_status()["SerialConsoleAccessEnabled"] is False
    assert stranger.get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False
