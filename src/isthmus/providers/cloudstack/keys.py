"""CloudStack's SSH key pairs: of each it tells the name and a fingerprint, not the public key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Key, public_key
from isthmus.providers import KeySpec
from isthmus.providers.cloudstack import notes
from isthmus.providers.cloudstack.client import Client, Item
from isthmus.providers.cloudstack.tenant import Tenant

if TYPE_CHECKING:
    from isthmus.providers.cloudstack.cloud import CloudStack


class CloudStackKeys:
    """A key pair's native id is its name in CloudStack, where what Isthmus must find again stands behind ours."""

    def __init__(self, cloud: CloudStack, tenant: Tenant) -> None:
        self._cloud = cloud
        self._tenant = tenant
        self._client = tenant.client

    def list_keys(self) -> Sequence[Key]:
        return [_key(one) for one in self._tenant.all("listSSHKeyPairs", "sshkeypair")]

    def import_key(self, spec: KeySpec) -> Key:
        if not spec.ref or not spec.name:
            raise Invalid("a key needs a ref and a name", "name" if spec.ref else "ref")
        public = public_key(spec.public)
        if "," in spec.name:
            raise Invalid("CloudStack takes no comma in the name of a key", "name")
        with self._cloud.turn(f"keys of {self._tenant.native}"):
            listed = self.list_keys()
            if before := next((one for one in listed if one.ref == spec.ref), None):
                return before
            if any(one.name == spec.name for one in listed):
                raise Conflict("key", spec.name, f"there is a key {spec.name!r}", code="duplicate")
            name = notes.dump(spec.name, spec.ref, str(int(datetime.now(UTC).timestamp())), field="name")
            return _key(self._client.do("registerSSHKeyPair", "key", name=name, publickey=public)["keypair"])

    def delete_key(self, native: str) -> None:
        """A name is the account's own, so that no other's can be meant."""
        if any(one.native == native for one in self.list_keys()):
            with suppress(NotFound):  # the key is that of all clouds of one CloudStack, each of which is asked
                self._client.do("deleteSSHKeyPair", "key", native, name=native)


def demand(offered: Client, native: str) -> None:
    """Raises NotFound for a key that the account has not."""
    if not any(one["name"] == native for one in offered.every("listSSHKeyPairs", "sshkeypair")):
        raise NotFound("key", native[:64])


def _key(item: Item) -> Key:
    noted = notes.load(item["name"])
    made = datetime.fromtimestamp(int(noted.more) if noted.more.isdecimal() else 0, UTC)
    return Key(item["name"], noted.ref, noted.text, "", made)
