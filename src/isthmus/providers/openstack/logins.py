"""How tenants sign in: by a token that Keystone granted for an EC2 signature, or by an application credential."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from keystoneauth1 import access, exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity import V3ApplicationCredential, V3Password
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session

from isthmus.errors import Invalid, NotTaken, Unavailable

_MOST = 1000
"""Signed-in tenants that are remembered."""


class Granted(BaseIdentityPlugin):
    """A token that is there already, with its catalogue.

    Keystone itself refuses tokens of EC2 signatures (CVE-2026-80182), so nothing is ever asked of it with one.
    """

    def __init__(self, auth_url: str, body: Mapping[str, Any], token: str) -> None:
        super().__init__(auth_url, reauthenticate=False)
        self.auth_ref = self._access = access.create(body=dict(body), auth_token=token)
        self._refused = False

    @property
    def project(self) -> str:
        """Empty for a token without one."""
        return str(self._access.project_id or "")

    @property
    def name(self) -> str:
        return str(self._access.project_name or "")

    @property
    def user(self) -> str:
        return str(self._access.user_id or "")

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(self._access.role_ids or ())

    def get_auth_ref(self, session: Session) -> Any:  # noqa: ARG002
        raise exceptions.AuthorizationFailure("The token is no longer good.")

    def invalidate(self) -> bool:
        """Called when a service refuses the token: there is no other one to try until somebody signs again."""
        self._refused = True
        return False

    @property
    def good(self) -> bool:
        return not self._refused and not self._access.will_expire_soon(60)


def by_secrets(auth_url: str, secrets: Mapping[str, Any]) -> BaseIdentityPlugin:
    """The login of a tenant for whom the operator keeps secrets: an application credential, or a user's password."""
    given = {name: str(value) for name, value in secrets.items()}
    try:
        if "application_credential_id" in given:
            return V3ApplicationCredential(
                auth_url,
                application_credential_id=given["application_credential_id"],
                application_credential_secret=given["application_credential_secret"],
            )
        return V3Password(
            auth_url,
            username=given["username"],
            password=given["password"],
            user_domain_id=given.get("user_domain_id", "default"),
            project_id=given["project_id"],
        )
    except KeyError as error:
        raise Invalid(f"the secrets of a tenant on OpenStack lack {error}", "secrets") from None


class Signed:
    """A tenant's pooled connections under one login: an adapter for each service, made when it is first needed."""

    def __init__(self, session: Session, region: str | None, interface: str) -> None:
        self._session = session
        self._region = region
        self._interface = interface
        self._adapters: dict[str, Adapter] = {}

    @property
    def granted(self) -> Granted | None:
        """The login, if it is a token that was granted for a signature."""
        return self._session.auth if isinstance(self._session.auth, Granted) else None

    @property
    def good(self) -> bool:
        return self.granted.good if self.granted else True

    def project(self) -> str:
        """Raises NotTaken if the login is not taken, Unavailable if Keystone is away."""
        try:
            return str(self._session.get_project_id() or "")
        except (exceptions.AuthorizationFailure, exceptions.Unauthorized, exceptions.NotFound) as error:
            raise NotTaken("The cloud does not take the login that is kept for this account.") from error
        except exceptions.ClientException as error:
            raise Unavailable("Keystone does not answer.") from error

    def adapter(self, service: str) -> Adapter:
        if service not in self._adapters:
            self._adapters[service] = self._made(service)
        return self._adapters[service]

    def _made(self, service: str) -> Adapter:
        where: dict[str, Any] = {"service_type": service, "interface": self._interface, "region_name": self._region}
        if version := _VERSIONS.get(service):
            return Adapter(self._session, min_version=version, max_version=f"{version}.latest", **where)
        # These say their version in each path; catalogues have them with and without.
        endpoint = self._session.get_endpoint(**where)
        return Adapter(self._session, endpoint_override=endpoint and _VERSION.sub("", endpoint), **where)


_VERSIONS = {"compute": "2", "block-storage": "3"}
_VERSION = re.compile(r"/v\d[\d.]*/?$")


class Signings:
    """Who is signed in, by tenant and what was signed in with; the longest unused are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Signed] = OrderedDict()

    def get(self, tenant: str, login: str) -> Signed | None:
        with self._lock:
            if found := self._known.get((tenant, login)):
                self._known.move_to_end((tenant, login))
            return found

    def put(self, tenant: str, login: str, signed: Signed) -> Signed:
        with self._lock:
            self._known[tenant, login] = signed
            self._known.move_to_end((tenant, login))
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return signed

    def latest(self, tenant: str) -> Signed | None:
        """The login of a tenant that was used last and is good still."""
        with self._lock:
            return next((one for (of, _), one in reversed(self._known.items()) if of == tenant and one.good), None)
