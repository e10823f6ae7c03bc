"""`isthmus credentials register`: what an owner of a CloudStack's keys asks of somebody else's Isthmus."""

from __future__ import annotations

import html
import os
import re
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode, urlsplit

import typer

from isthmus.cli import common
from isthmus.cli.common import Failure

if TYPE_CHECKING:
    import httpx

_SECONDS = 60
_FORM = "application/x-www-form-urlencoded"
_SECRET = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable
_REGION = "us-east-1"
"""Of the signature: Isthmus takes any."""


def register(
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="URL",
            envvar=["AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL"],
            help="Of the Isthmus: https://ec2.example.org.",
        ),
    ] = "",
    access_key: Annotated[
        str, typer.Option("--access-key", metavar="KEY", envvar="AWS_ACCESS_KEY_ID", help="Your API key of CloudStack.")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            "--secret", metavar="FILE|-", help=f"Where its secret key is read; - is standard input. Else {_SECRET}."
        ),
    ] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Let Isthmus forget the pair.")] = False,
    cacert: Annotated[
        Path | None, typer.Option("--cacert", metavar="FILE", help="Who may have signed the endpoint's certificate.")
    ] = None,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Send the secret key unencrypted, for all on the way to read.")
    ] = False,
) -> None:
    """Make your own API key of a CloudStack known to the Isthmus in front of it, and sign with it from then on.

    This needs no access to the Isthmus, but its operator has to have turned registration on. The request is signed
    with the pair; Isthmus tries the pair in CloudStack, and keeps it encrypted. Doing it again changes nothing. What
    is not given is asked for. The secret key is never an argument, where others on this host could read it.

    With --remove Isthmus forgets the pair; in CloudStack it stays as it is.

    Examples:

      isthmus credentials register --endpoint https://ec2.example.org --access-key KEY

      isthmus credentials register --endpoint URL --access-key KEY --secret - <secret.txt

      isthmus credentials register --endpoint URL --access-key KEY --remove
    """
    url = _checked(endpoint, plain_http=plain_http)
    key = access_key or common.asked("API key", "--access-key")
    told = common.text_of(secret).strip() if secret else os.environ.get(_SECRET, "")
    told = told or common.asked("secret key", "--secret", hidden=True)
    common.demand_pair(key, told)
    answer = _sent(url, key, told, "RemoveSecretKey" if remove else "RegisterSecretKey", cacert)
    if answer.status_code != 200:
        raise Failure(_why(answer))
    if remove:
        typer.echo(f"The access key {key} is forgotten.")
    else:
        typer.echo(f"The access key {key} belongs to the account {_said(answer, 'accountId')} now.")


def _checked(endpoint: str, *, plain_http: bool) -> str:
    """Raises Failure for what is no endpoint, or would tell the secret to all on the way."""
    url = (endpoint or common.asked("endpoint", "--endpoint")).strip()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise Failure("--endpoint is a URL like https://ec2.example.org.")
    if parts.scheme == "http" and not plain_http and not _is_here(parts.hostname):
        raise Failure(f"{url} would carry the secret key unencrypted: say https, or --plain-http if you mean it.")
    return url if parts.path else f"{url}/"


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _sent(url: str, key: str, secret: str, action: str, cacert: Path | None) -> httpx.Response:
    """Raises Failure."""
    import httpx
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    form = urlencode({"Action": action, "Version": "2016-11-15", "AWSAccessKeyId": key, "AWSSecretKey": secret})
    request = AWSRequest("POST", url, {"Content-Type": _FORM}, form)
    SigV4Auth(Credentials(key, secret), "ec2", _REGION).add_auth(request)
    trusted = _trusted(cacert) if cacert else True
    try:
        by_proxies = url.startswith("https:")  # which read nothing of it
        with httpx.Client(verify=trusted, timeout=_SECONDS, trust_env=by_proxies) as client:
            return client.post(url, content=form, headers=dict(request.headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Failure(f"{url} cannot be asked: {error}.") from None


def _trusted(cacert: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cacert.expanduser())
    except OSError as error:
        raise Failure(f"{cacert} has no certificates that can be read: {error.strerror}.") from None


def _why(answer: httpx.Response) -> str:
    """What a refusal means for who sent it."""
    code, message = _said(answer, "Code"), _said(answer, "Message")
    if not code:
        return f"What answers there, with {answer.status_code}, is no Isthmus: see to --endpoint."
    if code == "AuthFailure":
        return (
            "Isthmus does not take this pair: the two keys do not go together, or CloudStack has withdrawn them or"
            " disabled their user, or nothing is kept that could be removed."
        )
    return f"Isthmus refuses: {message.rstrip('.')}. ({code})"


def _said(answer: httpx.Response, tag: str) -> str:
    found = re.search(f"<{tag}>([^<]*)</{tag}>", answer.text)
    return html.unescape(found[1]) if found else ""
