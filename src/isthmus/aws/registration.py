"""RegisterSecretKey and RemoveSecretKey, which are no actions of EC2's: owners make a cloud's own keys known by them.

Source: ec2stack, whose actions they were: a form with AWSAccessKeyId and AWSSecretKey, and an answer with a Message.
There anybody could send them. Here they are signed with the pair itself, and the cloud has to take it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from ipaddress import ip_address
from threading import BoundedSemaphore
from typing import NamedTuple, NoReturn

from isthmus.aws.auth import Claim, claim
from isthmus.aws.codec import split_generic
from isthmus.aws.errors import AwsError
from isthmus.aws.request import Pairs, Request
from isthmus.context import World
from isthmus.core import registering
from isthmus.core.registering import Registrars
from isthmus.errors import Broken, Unavailable

REGISTER, REMOVE = "RegisterSecretKey", "RemoveSecretKey"
ACTIONS = frozenset({REGISTER, REMOVE})
AT_ONCE = 4
"""Registrations that a cloud is asked of at the same time: others are told to come again."""
_KEY, _SECRET = "AWSAccessKeyId", "AWSSecretKey"
_ACCESS_KEYS = re.compile(r"[0-9A-Za-z_.~-]{8,128}")
_SECRETS = re.compile(r"[!-~]{8,255}")
_NOBODY = "AWS was not able to validate the provided access credentials"
_OFF = "No cloud here takes the registration of keys: its operator imports them, or turns `registration` on."
_READ = (
    "The secret key came over a connection that is not encrypted, where others may have read it: have a new pair made,"
    " and register that by https."
)
_IN_URL = f"The {_SECRET} belongs into the form of a POST: URLs are logged. Have a new pair made, and send it so."


class Done(NamedTuple):
    """Whose the pair is, and what the answer says."""

    account: str
    members: Mapping[str, str]


class Registration:
    def __init__(self, world: World) -> None:
        self._world = world
        self._room = BoundedSemaphore(AT_ONCE)

    def answer(self, request: Request, action: str) -> Done:
        """Raises AwsError."""
        if not registering.registrars(self._world, encrypted=True):
            raise AwsError("UnsupportedOperation", _OFF)
        secret = _secret(request.params, action)
        asked = self._registrars(request, secret)
        claimed = claim(request, _signing(request))
        if secret and claimed.access_key != _own(request.params, claimed):
            raise AwsError("AuthFailure", f"A request with an {_SECRET} is signed with that pair.")
        if claimed.token:
            raise AwsError("AuthFailure", "Access keys have no sessions here: send no security token.")
        if action == REGISTER:
            account = self._register(claimed, secret, asked)
            message = "Successfully Registered!"
        else:
            account = self._remove(claimed, secret)
            message = "Successfully removed!"
        return Done(account, {_KEY: claimed.access_key, "accountId": account, "Message": message})

    def _registrars(self, request: Request, secret: str) -> Registrars:
        """Whom this request may speak to. Raises AwsError for a secret that is one no more."""
        if any(name == _SECRET for name, _ in request.query_params):
            raise AwsError("InvalidRequest", _IN_URL)
        found = registering.registrars(self._world, encrypted=not secret or _is_encrypted(request))
        if not found:
            raise AwsError("InvalidRequest", _READ)
        return found

    def _register(self, claimed: Claim, secret: str, asked: Registrars) -> str:
        """What cannot be a pair, or did not sign, is not asked for; how much is asked does not tell what is kept."""
        if not _ACCESS_KEYS.fullmatch(claimed.access_key) or not _SECRETS.fullmatch(secret):
            _refuse()
        if not claimed.verify(secret):
            _refuse()
        claimed.check_time(self._world.clock())
        if not self._room.acquire(blocking=False):
            raise AwsError("RequestLimitExceeded", "Too many keys are being registered now. Please try again.")
        try:
            account = registering.register(self._world, asked, claimed.access_key, secret)
        except Broken:
            raise
        except Unavailable as fault:
            raise AwsError("Unavailable", "The cloud cannot be asked now whose the pair is. Try again.") from fault
        finally:
            self._room.release()
        return account or _refuse()

    def _remove(self, claimed: Claim, secret: str) -> str:
        """By the pair that is kept, whether its cloud still takes it or not."""
        kept = self._world.store.credential(claimed.access_key)
        matches = claimed.verify(kept.secret if kept else "no such key")
        if (
            kept is None
            or not matches
            or not hmac.compare_digest((secret or kept.secret).encode(), kept.secret.encode())
        ):
            _refuse()
        claimed.check_time(self._world.clock())
        if not registering.forget(self._world, kept.account, kept.access_key):
            raise AwsError("OperationNotPermitted", "This key is none that was registered: its operator revokes it.")
        return kept.account


def _secret(pairs: Pairs, action: str) -> str:
    """The secret key that is told. Raises AwsError for parameters that there are not, and for what is missing."""
    _, own = split_generic(pairs)
    if unknown := [name for name, _ in own if name != _SECRET]:
        raise AwsError("UnknownParameter", f"The parameter {unknown[0][:64]} is not recognized")
    if len(own) > 1:
        raise AwsError("InvalidParameterCombination", f"The parameter {_SECRET} is specified more than once.")
    if action == REGISTER and not own:
        raise AwsError("MissingParameter", f"The request must contain the parameter {_SECRET}")
    return own[0][1] if own else ""


def _signing(request: Request) -> Pairs:
    """The parameters that say how it is signed: with version 4 the AWSAccessKeyId is but what is registered."""
    pairs = request.params
    by_four = "authorization" in request.headers or any(name == "X-Amz-Signature" for name, _ in pairs)
    if not by_four and not any(name == "Signature" for name, _ in pairs):
        raise AwsError("MissingAuthenticationToken", "The request has to be signed with the pair that it speaks of.")
    return [pair for pair in pairs if pair[0] != _KEY] if by_four else pairs


def _own(pairs: Pairs, claimed: Claim) -> str:
    """The access key that is told beside the secret; by default the one that signed."""
    return next((value for name, value in pairs if name == _KEY), claimed.access_key)


def _is_encrypted(request: Request) -> bool:
    """Whether nobody on the way has read the request: a proxy says so, or it comes from this very host.

    Whoever says so falsely harms himself alone.
    """
    said = request.headers.get("x-forwarded-proto")
    if said is not None:
        return all(word.strip().lower() == "https" for word in said.split(","))
    try:
        peer = ip_address(request.peer)
    except ValueError:
        return False
    return (getattr(peer, "ipv4_mapped", None) or peer).is_loopback


def _refuse() -> NoReturn:
    """One answer, whatever is wrong with a pair."""
    raise AwsError("AuthFailure", _NOBODY)
