"""SSH key pairs."""

from __future__ import annotations

import base64
from uuid import uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from emulators.cloudstack.commands.acts import SUCCESS, Params, act, filtered
from emulators.cloudstack.world import Account, Item, Refusal, World


@act("createSSHKeyPair")
def create_key_pair(world: World, account: Account, params: Params) -> Item:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    spoken = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public = key.public_key().public_bytes(*spoken).decode()
    return {**_new(world, account, params["name"], public), "privatekey": pem.decode()}


@act("registerSSHKeyPair")
def register_key_pair(world: World, account: Account, params: Params) -> Item:
    if not params["publickey"].startswith(("ssh-", "ecdsa-")):
        raise Refusal(431, "Public key is invalid", 4350)
    return _new(world, account, params["name"], params["publickey"])


def encrypted(world: World, account: Account, names: str, text: str) -> str:
    """A text for the owner of the first of these key pairs, if that is one of RSA; else empty."""
    for one in _named(world, account, names.split(",")[0]):
        public = serialization.load_ssh_public_key(world.public_keys[one["id"]].encode())
        if isinstance(public, rsa.RSAPublicKey):
            return base64.b64encode(public.encrypt(text.encode(), padding.PKCS1v15())).decode()
    return ""


def _new(world: World, account: Account, name: str, public: str) -> Item:
    if _named(world, account, name):
        raise Refusal(431, f"A key pair with name '{name}' already exists.", 4350)
    digest = uuid4().hex
    fingerprint = ":".join(digest[n : n + 2] for n in range(0, 32, 2))
    made = {"id": str(uuid4()), "name": name, "fingerprint": fingerprint, "account": account.name}
    world.public_keys[made["id"]] = public
    return world.add(account, "keypair", made)


def _named(world: World, account: Account, name: str) -> list[Item]:
    return [one for one in world.own(account, "keypair") if one["name"] == name]


@act("listSSHKeyPairs")
def list_key_pairs(world: World, account: Account, params: Params) -> list[Item]:
    return filtered(world.own(account, "keypair"), params, "id", "name")


@act("deleteSSHKeyPair")
def delete_key_pair(world: World, account: Account, params: Params) -> Item:
    for one in _named(world, account, params["name"]):
        del world.things["keypair"][one["id"]]
        return SUCCESS
    raise Refusal(431, f"A key pair with name '{params['name']}' was not found.", 4350)
