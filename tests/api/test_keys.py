"""Key pairs: made here and given out once, or imported; fingerprints as EC2 computes them."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess

import pytest
from asking import instance, machine_image, refusal, tagged, tags, where
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from isthmus.providers import KeySpec

DER, PEM, OPENSSH = serialization.Encoding.DER, serialization.Encoding.PEM, serialization.Encoding.OpenSSH
PKCS8, SUBJECT = serialization.PrivateFormat.PKCS8, serialization.PublicFormat.SubjectPublicKeyInfo
NONE = serialization.NoEncryption()


def colons(digest):
    return ":".join(f"{byte:02x}" for byte in digest)


def loaded(material):
    """A private key in either of the forms that are given out as PEM."""
    read = serialization.load_ssh_private_key if "OPENSSH" in material else serialization.load_pem_private_key
    return read(material.encode(), None)


def line(public):
    return public.public_bytes(OPENSSH, serialization.PublicFormat.OpenSSH)


def listed(ec2, **asked):
    return {one["KeyName"]: one for one in ec2.describe_key_pairs(**asked)["KeyPairs"]}


def ssh_keygen(folder, text, *arguments):
    """What ssh-keygen says of a key."""
    path = folder / "key"
    path.write_text(text)
    path.chmod(0o600)
    return subprocess.run(["ssh-keygen", *arguments, "-f", path], check=True, capture_output=True, text=True).stdout


def test_a_made_rsa_key_has_the_fingerprint_of_its_private_half(ec2):
    made = ec2.create_key_pair(KeyName="mine")

    private = loaded(made["KeyMaterial"])
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 2048
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert made["KeyFingerprint"] == colons(hashlib.sha1(private.private_bytes(DER, PKCS8, NONE)).digest())
    assert listed(ec2)["mine"]["KeyFingerprint"] == made["KeyFingerprint"]


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_finds_the_same_fingerprint(ec2):
    made = ec2.create_key_pair(KeyName="mine")

    convert = ["openssl", "pkcs8", "-nocrypt", "-inform", "PEM", "-outform", "DER", "-topk8"]
    der = subprocess.run(convert, input=made["KeyMaterial"].encode(), check=True, capture_output=True).stdout
    assert colons(hashlib.sha1(der).digest()) == made["KeyFingerprint"]


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_ssh_keygen_reads_what_is_given_out(ec2, tmp_path, kind):
    made = ec2.create_key_pair(KeyName="mine", KeyType=kind)

    public = ssh_keygen(tmp_path, made["KeyMaterial"] + "\n", "-y")
    known = listed(ec2, IncludePublicKey=True)["mine"]
    assert public.split()[:2] == known["PublicKey"].split()[:2]
    if kind == "ed25519":
        said = ssh_keygen(tmp_path, made["KeyMaterial"] + "\n", "-l", "-E", "sha256").split()[1]
        assert said.removeprefix("SHA256:") == made["KeyFingerprint"].rstrip("=")


def test_a_made_ed25519_key_has_a_sha256_fingerprint(ec2):
    made = ec2.create_key_pair(KeyName="mine", KeyType="ed25519")

    private = loaded(made["KeyMaterial"])
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    blob = base64.b64decode(line(private.public_key()).split()[1])
    assert made["KeyFingerprint"] == base64.b64encode(hashlib.sha256(blob).digest()).decode()
    assert listed(ec2)["mine"]["KeyType"] == "ed25519"


@pytest.mark.skipif(not shutil.which("puttygen"), reason="puttygen is not installed")
@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_puttygen_reads_what_is_given_out(ec2, tmp_path, kind):
    made = ec2.create_key_pair(KeyName="mine", KeyType=kind, KeyFormat="ppk")
    path = tmp_path / "key.ppk"
    path.write_text(made["KeyMaterial"] + "\n")

    read = subprocess.run(["puttygen", path, "-O", "public-openssh"], check=True, capture_output=True, text=True)
    assert read.stdout.split()[:2] == listed(ec2, IncludePublicKey=True)["mine"]["PublicKey"].split()[:2]
    private = ["puttygen", path, "-O", "private-openssh", "-o", tmp_path / "key.pem"]
    subprocess.run(private, check=True, capture_output=True)
    assert loaded((tmp_path / "key.pem").read_text()).public_key()


def test_an_imported_rsa_key_has_the_fingerprint_of_its_public_half(ec2):
    public = rsa.generate_private_key(65537, 3072).public_key()
    made = ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=line(public) + b" me@home\n")

    assert made["KeyFingerprint"] == colons(hashlib.md5(public.public_bytes(DER, SUBJECT)).digest())
    assert "KeyMaterial" not in made
    known = listed(ec2, IncludePublicKey=True)["mine"]
    assert (known["KeyType"], known["KeyPairId"]) == ("rsa", made["KeyPairId"])
    assert known["PublicKey"].encode().startswith(line(public))


def test_a_key_is_imported_in_each_form_that_ec2_takes(ec2):
    for public in (
        rsa.generate_private_key(65537, 2048).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ):
        der = public.public_bytes(DER, SUBJECT)
        forms = (line(public), public.public_bytes(PEM, SUBJECT), base64.b64encode(der), base64.b64encode(line(public)))
        prints = {
            ec2.import_key_pair(KeyName=f"{type(public).__name__}-{number}", PublicKeyMaterial=form)["KeyFingerprint"]
            for number, form in enumerate(forms)
        }
        assert len(prints) == 1


def test_what_is_no_public_key_of_a_known_type_is_refused(ec2):
    strange = [ec.generate_private_key(ec.SECP256R1()).public_key()]
    private = rsa.generate_private_key(65537, 2048).private_bytes(PEM, PKCS8, NONE)
    for material in (*map(line, strange), b"", b"ssh-rsa", b"ssh-rsa AAAA", b"hello", b"\xff\x00", private):
        code = refusal(ec2.import_key_pair, KeyName="mine", PublicKeyMaterial=material)
        assert code in ("InvalidKey.Format", "MissingParameter"), material
    assert listed(ec2) == {}


def test_a_key_of_another_type_that_a_cloud_had_before_is_listed_and_launched_with(house, ec2):
    public = line(ec.generate_private_key(ec.SECP256R1()).public_key()).decode()
    house.cloud.session(house.account[0]).keys.import_key(KeySpec("key-" + 17 * "a", "theirs", public))

    found = listed(ec2)["theirs"]
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    assert (None, base64.b64encode(digest).decode()) == (found.get("KeyType"), found["KeyFingerprint"])
    ec2.create_key_pair(KeyName="mine")
    image = machine_image(ec2)
    [made] = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, KeyName="theirs")["Instances"]
    assert "theirs" == made["KeyName"]


def test_a_name_is_used_once(ec2):
    first = ec2.create_key_pair(KeyName="mine")
    public = line(ed25519.Ed25519PrivateKey.generate().public_key())

    assert refusal(ec2.create_key_pair, KeyName="mine") == "InvalidKeyPair.Duplicate"
    assert refusal(ec2.import_key_pair, KeyName="mine", PublicKeyMaterial=public) == "InvalidKeyPair.Duplicate"
    assert listed(ec2)["mine"]["KeyFingerprint"] == first["KeyFingerprint"]


@pytest.mark.parametrize("asked", [{"KeyName": "n" * 256}, {"KeyName": " mine"}, {"KeyName": "mine", "KeyType": "dsa"}])
def test_a_key_that_cannot_be_is_refused(ec2, asked):
    assert refusal(ec2.create_key_pair, **asked) == "InvalidParameterValue"
    assert refusal(ec2.create_key_pair) == "MissingParameter"
    assert refusal(ec2.create_key_pair, KeyName="mine", KeyFormat="jks") == "InvalidParameterValue"
    assert listed(ec2) == {}


@pytest.mark.parametrize("said", ["KeyName", "KeyPairId"])
def test_a_deleted_key_is_gone_with_its_tags(ec2, said):
    made = ec2.create_key_pair(KeyName="mine", TagSpecifications=tagged("key-pair", a="b"))
    assert made["Tags"] == tags(a="b")
    answer = ec2.delete_key_pair(**{said: made[said]})

    assert (answer["Return"], answer["KeyPairId"]) == (True, made["KeyPairId"])
    assert listed(ec2) == {}
    assert refusal(ec2.describe_key_pairs, KeyNames=["mine"]) == "InvalidKeyPair.NotFound"
    assert not ec2.describe_tags()["Tags"]
    assert ec2.delete_key_pair(KeyName="mine")["Return"] is True  # as EC2: what is gone is gone


def test_a_deletion_that_names_nothing_or_two_things_is_refused(ec2):
    mine, other = (ec2.create_key_pair(KeyName=name) for name in ("mine", "other"))

    assert refusal(ec2.delete_key_pair) == "MissingParameter"
    asked = {"KeyName": "mine", "KeyPairId": other["KeyPairId"]}
    assert refusal(ec2.delete_key_pair, **asked) == "InvalidParameterCombination"
    assert set(listed(ec2)) == {"mine", "other"}
    assert mine["KeyPairId"] != other["KeyPairId"]


def test_an_instance_keeps_the_name_of_its_key(house, ec2, image):
    ec2.create_key_pair(KeyName="mine")
    made = ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="mine")
    known = made["Instances"][0]["InstanceId"]
    ec2.delete_key_pair(KeyName="mine")

    assert instance(ec2, known)["KeyName"] == "mine"
    ec2.create_key_pair(KeyName="mine")  # another one under the same name can be launched with, too
    assert ec2.run_instances(ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, KeyName="mine")


def test_a_strangers_key_is_not_there(ec2, stranger):
    made = ec2.create_key_pair(KeyName="mine")

    assert refusal(stranger.describe_key_pairs, KeyNames=["mine"]) == "InvalidKeyPair.NotFound"
    assert refusal(stranger.describe_key_pairs, KeyPairIds=[made["KeyPairId"]]) == "InvalidKeyPair.NotFound"
    assert refusal(stranger.create_tags, Resources=[made["KeyPairId"]], Tags=tags(a="b")) == "InvalidKeyPair.NotFound"
    stranger.delete_key_pair(KeyName="mine")
    stranger.delete_key_pair(KeyPairId=made["KeyPairId"])
    theirs = stranger.create_key_pair(KeyName="mine")
    assert theirs["KeyFingerprint"] != listed(ec2)["mine"]["KeyFingerprint"] == made["KeyFingerprint"]


def test_keys_are_found_by_what_they_are(ec2):
    made = ec2.create_key_pair(KeyName="mine", TagSpecifications=tagged("key-pair", Name="x"))
    ec2.create_key_pair(KeyName="other", KeyType="ed25519")

    for filters in (
        where(key_name="mi*"),
        where(fingerprint=made["KeyFingerprint"]),
        where(key_pair_id=made["KeyPairId"]),
        [{"Name": "tag:Name", "Values": ["x"]}],
        where(tag_key="Name"),
    ):
        assert set(listed(ec2, Filters=filters)) == {"mine"}
    assert set(listed(ec2, KeyNames=["mine", "other"])) == {"mine", "other"}
    assert "PublicKey" not in listed(ec2)["mine"]
    ec2.get_waiter("key_pair_exists").wait(KeyNames=["mine"])
