"""Who signed, when Keystone gave out the credentials: it judges each signature, or tells the secret to an admin.

Sources: the API reference of Keystone, and what its `POST /v3/ec2tokens` makes of a request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from keystoneauth1 import exceptions
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session

from isthmus.errors import Unavailable
from isthmus.model import SignedRequest
from isthmus.providers.openstack.judged import Judged
from isthmus.providers.openstack.logins import Granted, Signed, Signings
from isthmus.told import Secrets, Told

_log = logging.getLogger(__name__)
_ACCESS_KEY = re.compile(r"[0-9A-Za-z_.-]{3,128}")
_SECONDS = (5, 10)
"""How long Keystone may take to accept a connection, and to say anything."""
_SURE_SECONDS = 30
"""How long our own token is not doubted after it was taken."""
_NOBODY = "isthmus-nobody"
"""An access key that Keystone does not give out."""
_REFUSED = (401, 403, 404)


class Credentials:
    """Keystone's own EC2 credentials. `sign_in` makes connections under a login."""

    def __init__(
        self,
        service: Session,
        auth_url: str,
        sign_in: Callable[[BaseIdentityPlugin], Signed],
        signings: Signings,
        *,
        fetch: bool = False,
    ) -> None:
        self._keystone = Keystone(service, auth_url)
        self._auth_url = auth_url
        self._sign_in = sign_in
        self._signings = signings
        self._secrets = Secrets(self._told) if fetch else None
        self._judged: Judged[tuple[Signed, Granted]] = Judged()

    def admit(self, request: SignedRequest) -> tuple[Signed, Granted] | None:
        """The connections and the login of who signed. Raises Unavailable if Keystone is away."""
        if not _ACCESS_KEY.fullmatch(request.access_key):
            return None
        if self._secrets:
            return self._by_secret(self._secrets, request)
        told = told_of(request)
        return self._judge(request.access_key, told) if told else None

    def missing(self) -> str:
        """Why the service's own user cannot find out who signs, or empty. Raises Unavailable."""
        try:
            answer = self._keystone.post("/ec2tokens", {"credentials": _own(_NOBODY, "")})
        except Unavailable as fault:
            return str(fault)
        if answer.status_code == 403:
            return "Keystone does not tell the service's user who signs: give it the role service, or admin"
        if self._secrets and self._keystone.get(f"/credentials/{_id(_NOBODY)}").status_code == 403:
            return "Keystone does not tell the service's user any secrets: give it the role admin, or choose validate"
        return ""

    def _judge(self, access_key: str, told: Mapping[str, Any]) -> tuple[Signed, Granted] | None:
        """The login for what Keystone judges to be rightly signed, or did a moment ago."""
        known = self._judged.get(told)
        if known and known[0].good:
            return known
        since = time.monotonic()
        found = self._granted(access_key, told)
        if found:
            self._judged.keep(told, found, since)
        return found

    def _granted(self, access_key: str, told: Mapping[str, Any]) -> tuple[Signed, Granted] | None:
        """The login for what Keystone judges to be rightly signed."""
        answer = self._keystone.post("/ec2tokens", {"credentials": told})
        if not _taken(answer, "who signed a request"):
            return None
        granted = Granted(self._auth_url, answer.json(), answer.headers["X-Subject-Token"])
        if not granted.project:
            return None
        known = self._known(granted.project, access_key, granted.user)
        if known and known[1].roles == granted.roles:
            return known
        return self._signings.put(granted.project, _login(access_key), self._sign_in(granted)), granted

    def _known(self, project: str, access_key: str, user: str) -> tuple[Signed, Granted] | None:
        """Connections that are there already: services have seen their token before, and need not ask Keystone."""
        signed = self._signings.get(project, _login(access_key))
        granted = signed.granted if signed and signed.good else None
        return (signed, granted) if signed and granted and granted.user == user else None

    def _told(self, access_key: str) -> Told | None:
        """A credential as Keystone has it now."""
        answer = self._keystone.get(f"/credentials/{_id(access_key)}")
        found = answer.json()["credential"] if _taken(answer, "the secrets of credentials") else {}
        blob = json.loads(found["blob"]) if found.get("type") == "ec2" else {}
        if not found.get("project_id") or blob.get("access") != access_key or not blob.get("secret"):
            return None
        return Told(found["user_id"], found["project_id"], blob["secret"])

    def _by_secret(self, told: Secrets, request: SignedRequest) -> tuple[Signed, Granted] | None:
        found = told.verified(request)
        if found is None:
            return None
        access_key = request.access_key
        known = None if found.fresh else self._known(found.tenant, access_key, found.user)
        signed = known or self._granted(access_key, _own(access_key, found.secret))
        if signed is None:  # the user is disabled, or without a role
            told.forget(access_key)
        return signed


def _taken(answer: Any, what: str) -> bool:
    """Whether Keystone said yes. Raises Unavailable if it said neither yes nor no."""
    if answer.status_code == 403:
        _log.warning("Keystone does not tell the service's user %s: see which roles it has", what)
    if answer.status_code == 200:
        return True
    if answer.status_code in _REFUSED:
        return False
    raise Unavailable(f"Keystone answered with {answer.status_code}.")


def _login(access_key: str) -> str:
    return f"ec2:{access_key}"


def _id(access_key: str) -> str:
    """The id of Keystone's record of a credential."""
    return hashlib.sha256(access_key.encode()).hexdigest()


def told_of(request: SignedRequest) -> dict[str, Any] | None:
    """A signed request as Keystone judges it; None for one that it cannot, or that it would judge without all
    that was signed: it leaves out the query of a POST, knows each parameter once, and HmacSHA1 not at all."""
    params = dict(request.params)
    if len(params) < len(request.params):
        return None
    if "SignatureVersion" in params:
        if params.get("SignatureMethod") != "HmacSHA256" or request.host.count(":") > 1:
            return None
    elif request.method.upper() == "POST" and params:
        return None
    headers = dict(request.headers)
    if "authorization" in headers:
        if headers["authorization"].count("=") != 3:
            return None
        headers |= {"Authorization": headers.pop("authorization"), "X-Amz-Date": headers.pop("x-amz-date")}
    return {
        "access": request.access_key,
        "signature": request.signature,
        "host": request.host,
        "verb": request.method,
        "path": request.path,
        "params": params,
        "headers": headers,
        "body_hash": request.body_hash,
    }


def _own(access_key: str, secret: str) -> dict[str, Any]:
    """A request that we sign ourselves, in version 2, which is the short one."""
    params = {
        "AWSAccessKeyId": access_key,
        "SignatureMethod": "HmacSHA256",
        "SignatureVersion": "2",
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(params.items()))
    digest = hmac.digest(secret.encode(), f"GET\nisthmus\n/\n{query}".encode(), "sha256")
    return {
        "access": access_key,
        "signature": base64.b64encode(digest).decode(),
        "host": "isthmus",
        "verb": "GET",
        "path": "/",
        "params": params,
        "headers": {},
        "body_hash": "",
    }


class Keystone:
    """Keystone as the service's own user asks it. Answers are given as they are; Unavailable if there is none."""

    def __init__(self, session: Session, auth_url: str) -> None:
        base = re.sub(r"/v[23](\.0)?$", "", auth_url.rstrip("/"))
        self._base = f"{base}/v3"
        self._session = session
        self._lock = threading.Lock()
        self._sure = float("-inf")
        """When our token was surely good, by the monotonic clock."""

    def get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: object) -> Any:
        """A 401 may mean what was asked about, or our own token: then there is a second try with another one."""
        try:
            token = self._session.get_token()
            answer = self._send(method, path, body, token)
            if answer.status_code == 401 and (other := self._renewed(token)) != token:
                answer = self._send(method, path, body, other)
        except (exceptions.AuthorizationFailure, exceptions.Unauthorized) as error:
            raise Unavailable("Keystone does not take the service's login.") from error
        except exceptions.ClientException as error:
            raise Unavailable("Keystone does not answer.") from error
        if answer.status_code == 200:
            self._sure = time.monotonic()
        return answer

    def _send(self, method: str, path: str, body: object, token: str | None) -> Any:
        return self._session.request(
            f"{self._base}{path}",
            method,
            json=body,
            headers={"X-Auth-Token": token or "", "Accept": "application/json"},
            authenticated=False,
            raise_exc=False,
            log=False,
            timeout=_SECONDS,
        )

    def _renewed(self, token: str | None) -> str | None:
        """Another token than this one, unless it was good a moment ago."""
        with self._lock:
            current = self._session.get_token()
            if current != token or time.monotonic() - self._sure < _SURE_SECONDS:
                return current
            self._session.invalidate()
            self._sure = time.monotonic()
            return self._session.get_token()
