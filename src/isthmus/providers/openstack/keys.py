"""Nova's key pairs, which are a user's and not a project's. Source: docs.openstack.org/api-ref/compute.

Nova keeps a public key as it is given, so what is to be found again of one is the last word of its comment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from isthmus.errors import Conflict, Invalid, NotFound
from isthmus.model import Key, public_key
from isthmus.providers import KeySpec
from isthmus.providers.openstack.client import Client, Item
from isthmus.providers.openstack.notes import MARK

if TYPE_CHECKING:
    from isthmus.providers.openstack.cloud import OpenStack


class OpenStackKeys:
    def __init__(self, cloud: OpenStack, client: Client) -> None:
        self._cloud = cloud
        self._client = client

    def list_keys(self) -> Sequence[Key]:
        return [_key(one["keypair"]) for one in self._client.every("compute", "/os-keypairs", "keypairs")]

    def import_key(self, spec: KeySpec) -> Key:
        if not spec.ref or not spec.name:
            raise Invalid("a key needs a ref and a name", "name" if spec.ref else "ref")
        public = public_key(spec.public)
        with self._cloud.turn(f"keys of {self._client.project}"):
            self._client.again()
            listed = self.list_keys()
            if before := next((one for one in listed if one.ref == spec.ref), None):
                return before
            if any(one.name == spec.name for one in listed):
                raise Conflict("key", spec.name, f"there is a key {spec.name!r}", code="duplicate")
            note = f"{MARK}{spec.ref}@{int(datetime.now(UTC).timestamp())}"
            body = {"keypair": {"name": spec.name, "type": "ssh", "public_key": f"{public} {note}"}}
            try:
                return _key(self._client.post("compute", "/os-keypairs", body, "key", spec.name)["keypair"])
            except Invalid as error:
                raise Invalid(f"Nova takes no key of this name: {error}", "name") from error

    def delete_key(self, native: str) -> None:
        """A name may have letters that no other native id has."""
        if native and native.isprintable() and "/" not in native:
            self._client.delete("compute", f"/os-keypairs/{quote(native, safe='')}", "key", native)


def demand(client: Client, native: str) -> None:
    """Raises NotFound for a key that the user has not."""
    if not any(one["keypair"]["name"] == native for one in client.every("compute", "/os-keypairs", "keypairs")):
        raise NotFound("key", native)


def _key(item: Item) -> Key:
    text = item["public_key"].strip()
    rest, _, last = text.rpartition(" ")
    if not last.startswith(MARK):
        return Key(item["name"], "", item["name"], text, datetime.fromtimestamp(0, UTC))
    ref, _, at = last.removeprefix(MARK).rpartition("@")
    made = datetime.fromtimestamp(int(at) if at.isdecimal() else 0, UTC)
    return Key(item["name"], ref, item["name"], rest, made)
