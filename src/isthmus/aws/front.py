"""The AWS front: from a request's bytes to an answer's, through signature, service and action."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from isthmus.aws.auth import Claim, claim
from isthmus.aws.ec2 import ec2
from isthmus.aws.errors import AwsError
from isthmus.aws.registration import ACTIONS, Registration
from isthmus.aws.request import Pairs, Request
from isthmus.aws.service import Service
from isthmus.aws.sts import sts
from isthmus.context import Context, World
from isthmus.errors import Broken, Unavailable
from isthmus.model import SignedRequest

_log = logging.getLogger(__name__)
SERVICES: Mapping[str, Service] = {"ec2": ec2, "sts": sts}
_OLDEST, _NEWEST = "2010-08-31", "2016-11-15"
_STS_VERSION = "2011-06-15"
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_PATHS = frozenset({"/", "", "/services/Cloud", "/services/Eucalyptus"})
# other services whose requests look like EC2's, by the names they are signed for
_ELSEWHERE = frozenset(
    {
        "autoscaling",
        "cloudformation",
        "elasticache",
        "elasticbeanstalk",
        "elasticloadbalancing",
        "email",
        "iam",
        "monitoring",
        "rds",
        "redshift",
        "sns",
        "sqs",
    }
)
# what each service calls a wrong key and a wrong signature
_REFUSALS = {
    "ec2": ("AuthFailure", "AuthFailure"),
    "sts": ("InvalidClientTokenId", "SignatureDoesNotMatch"),
}
_TEXTS = {
    "AuthFailure": "AWS was not able to validate the provided access credentials",
    "InvalidClientTokenId": "The security token included in the request is invalid.",
    "SignatureDoesNotMatch": "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method.",
}
_BROKEN = AwsError("Unavailable", "The service cannot reach its records now. Please try again.")
_AWAY = AwsError("Unavailable", "The service cannot find out now whose the access key is. Please try again.")


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, and what the log says of it."""

    status: int
    body: bytes
    request_id: str
    account: str = ""
    service: str = "ec2"
    action: str = ""
    code: str = ""
    """The error code; empty if all went well."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed, and their sessions of clouds that know them by themselves."""

    account: str
    sessions: Mapping[str, Any] = field(default_factory=dict)


def new_request_id() -> str:
    """A random UUID, as AWS's request ids are."""
    digits = secrets.token_hex(16)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Front:
    def __init__(self, world: World) -> None:
        self._world = world
        self._registration = Registration(world)

    def handle(self, request: Request) -> Response:
        """Answer any request; only a defect of ours raises."""
        request_id = new_request_id()
        service, action, account = ec2, "", ""
        try:
            pairs = request.params
            action, version = _one(pairs, "Action"), _one(pairs, "Version")
            service = _route("", action, version)
            if action in ACTIONS:
                return self._registered(request, action, _checked(ec2, request, action, version), request_id)
            claimed = claim(request)
            service = _route(claimed.scope.service if claimed.scope else "", action, version)
            signer = self._authenticate(claimed, service)
            account = signer.account
            _demand_served(claimed)
            context = self._context(request, claimed, signer, request_id, _checked(service, request, action, version))
            body = service.call(context, action, pairs)
        except AwsError as error:
            return self.refuse(error, request_id, service, account, action)
        except Broken as broken:
            _log.error("request %s: %s", request_id, broken)
            return self.refuse(_BROKEN, request_id, service, account, action)
        return Response(200, body, request_id, account, service.name, action)

    def _registered(self, request: Request, action: str, version: str, request_id: str) -> Response:
        done = self._registration.answer(request, action)
        body = ec2.codec.texts(action, done.members, version=version, request_id=request_id)
        return Response(200, body, request_id, done.account, ec2.name, action)

    def refuse(
        self, error: AwsError, request_id: str = "", service: Service = ec2, account: str = "", action: str = ""
    ) -> Response:
        """An error in the service's own form."""
        request_id = request_id or new_request_id()
        body = service.codec.error(error.code, error.message, request_id)
        known = action if action in service.codec.operations or action in ACTIONS else ""
        return Response(error.status, body, request_id, account, service.name, known, error.code)

    def _authenticate(self, claimed: Claim, service: Service) -> Signer:
        """Who signed. A wrong key and a wrong signature take as long and, for EC2, say the same."""
        no_key, no_match = _REFUSALS[service.name]
        credential = self._world.store.credential(claimed.access_key)
        matches = claimed.verify(credential.secret if credential else "no such key")
        known = Signer(credential.account) if credential and matches else None
        signer = known or self._admitted(claimed)
        if credential is not None and not matches:
            raise AwsError(no_match, _TEXTS[no_match])
        if signer is None:
            raise AwsError(no_key, _TEXTS[no_key])
        if claimed.token:
            raise AwsError(no_key, "Access keys have no sessions here: send no security token.")
        claimed.check_time(self._world.clock())
        return signer

    def _admitted(self, claimed: Claim) -> Signer | None:
        """Who signed, by the clouds that give out credentials. Raises AwsError if one that may know is away."""
        clouds = {name: cloud for name, cloud in self._world.clouds.items() if cloud.admits}
        if not clouds:
            return None
        claimed.check_time(self._world.clock())
        signed, away = claimed.signed(), None
        for name, cloud in clouds.items():
            try:
                if found := cloud.admit(signed):
                    sessions = {name: found.session, **self._elsewhere(name, found.tenant, signed)}
                    if signer := self._signer(found.tenant, found.name, sessions):
                        return signer
                    _log.warning("a tenant of the cloud %s signs that is no account any more", name)
            except Broken:
                raise
            except Unavailable as fault:
                _log.warning("the cloud %s does not say who signs: %s", name, fault)
                away = fault
        if away:
            raise _AWAY from away
        return None

    def _elsewhere(self, name: str, tenant: str, signed: SignedRequest) -> dict[str, Any]:
        """The sessions of the same tenant on other clouds of a cloud's realm."""
        clouds, sessions = self._world.clouds, {}
        for other, cloud in clouds.items():
            if other != name and cloud.realm == clouds[name].realm:
                with suppress(Unavailable):
                    found = cloud.admit(signed)
                    if found and found.tenant == tenant:
                        sessions[other] = found.session
        return sessions

    def _signer(self, tenant: str, name: str, sessions: Mapping[str, Any]) -> Signer | None:
        """The account of a tenant that clouds have admitted; None for one that is no account any more."""
        store, (first, *others) = self._world.store, sessions
        account = store.account_for(first, tenant, name, *others)
        if not account:
            return None
        return Signer(account, {one: made for one, made in sessions.items() if store.tenant_of(account, one) == tenant})

    def _context(self, request: Request, claimed: Claim, signer: Signer, request_id: str, version: str) -> Context:
        return Context(
            account=signer.account,
            sessions=signer.sessions,
            world=self._world.of(signer.account),
            request_id=request_id,
            access_key=claimed.access_key,
            version=version,
            endpoint=request.headers.get("host", ""),
        )


def _one(pairs: Pairs, name: str) -> str:
    """A generic parameter. Raises AwsError if it is given twice."""
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise AwsError("InvalidParameterCombination", f"The parameter {name} is specified more than once.")
    return values[0] if values else ""


def _route(scope: str, action: str, version: str) -> Service:
    """The service: by the signature's scope if that names one, else by what was asked for."""
    if scope in SERVICES:
        return SERVICES[scope]
    if version == _STS_VERSION or action in sts.actions:
        return sts
    return ec2


def _demand_served(claimed: Claim) -> None:
    """Raises AwsError for what was signed for another service of AWS: some of its actions are named like EC2's."""
    if claimed.scope and claimed.scope.service in _ELSEWHERE:
        raise AwsError("InvalidAction", f"The service {claimed.scope.service} is not served here.")


def _checked(service: Service, request: Request, action: str, version: str) -> str:
    """The version of the answer. Raises AwsError for a path, an action or a version that cannot be."""
    if request.path.rstrip("/") not in _PATHS:
        raise AwsError("InvalidRequest", "There is nothing at this path.", 404)
    if not action:
        raise AwsError("MissingAction", "The request is missing an action or a required parameter.")
    if service is not ec2:
        return version
    if not version:
        return _NEWEST
    if not _VERSION.fullmatch(version) or not _OLDEST <= version <= _NEWEST:
        raise AwsError("NoSuchVersion", f"The API version {version[:32]} does not exist: {_OLDEST} to {_NEWEST}.")
    return version
