"""Access keys in the forms that other programs write and read."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from isthmus.cli.common import Failure


class Pair(NamedTuple):
    access_key: str
    secret: str


# by format: the names of the access key and of the secret, the usual ones first
_VARIABLES = {
    "env": (("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")),
    "ec2rc": (("EC2_ACCESS_KEY", "EC2_ACCESS_KEY_ID"), ("EC2_SECRET_KEY", "EC2_SECRET_ACCESS_KEY")),
}
_MEMBERS = (
    ("AccessKeyId", "SecretAccessKey"),
    ("access", "secret"),
    ("access_key", "secret_key"),
    ("aws_access_key_id", "aws_secret_access_key"),
    ("apikey", "secretkey"),
)
_WRAPPERS = ("AccessKey", "Credentials", "credential", "userkeys")
_ASSIGNMENT = re.compile(
    r"\s*(?:export\s+|set(?:env)?\s+)?([A-Za-z_][A-Za-z0-9_]*)(?:=|\s+)"
    r"""((?!#)(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;])*)"""
    r"\s*;?\s*(?:\s#.*)?"
)


def read(text: str, form: str, profile: str = "default") -> Pair:
    """The access key and secret in a text. Raises Failure with what is missing; never quotes the text."""
    access_key, secret = _READ[form](text.removeprefix("\ufeff"), profile)
    if not access_key or not secret:
        raise Failure(f"The text holds no {'access key' if not access_key else 'secret'} in the format {form}.")
    if any(not word.isprintable() or " " in word for word in (access_key, secret)):
        raise Failure("An access key and its secret are printable and have no spaces.")
    return Pair(access_key, secret)


def secrets(text: str) -> Mapping[str, str]:
    """A login as lines NAME=VALUE or as an object in JSON. Raises Failure; never quotes the text."""
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            raise Failure("The text is not JSON.") from None
        if found and all(isinstance(value, str) for value in found.values()):
            return dict(found)
        raise Failure("The secrets in JSON are one object of texts.")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    pairs = [pair for line in lines if (pair := _assignment(line))]
    if not pairs or len(pairs) < len(lines):
        raise Failure("The secrets are lines NAME=VALUE, or an object in JSON.")
    return dict(pairs)


def write(pair: Pair, form: str, profile: str, region: str, url: str) -> str:
    """A text that other programs read."""
    return _WRITE[form](pair, profile, region, url)


def _read_variables(form: str) -> Callable[[str, str], tuple[str, str]]:
    def read_them(text: str, _: str) -> tuple[str, str]:
        found = {name: value for line in text.splitlines() if (pair := _assignment(line)) for name, value in [pair]}
        access_key, secret = _VARIABLES[form]
        return _first(found, access_key), _first(found, secret)

    return read_them


def _assignment(line: str) -> tuple[str, str] | None:
    """A variable and its value, where a shell would set one to a plain word."""
    found = _ASSIGNMENT.fullmatch(line)
    if not found:
        return None
    words = shlex.split(found[2])
    return (found[1], words[0]) if words else None


def _first(found: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((found[name] for name in names if name in found), "")


def _read_aws(text: str, profile: str) -> tuple[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except (configparser.Error, ValueError):
        raise Failure("The text is no AWS credentials file.") from None
    for section in (profile, f"profile {profile}"):
        if parser.has_section(section):
            part = parser[section]
            return part.get("aws_access_key_id", ""), part.get("aws_secret_access_key", "")
    known = ", ".join(parser.sections()) or "none"
    raise Failure(f"The text has no profile {profile}; it has {known}.")


def _read_json(text: str, _: str) -> tuple[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Failure("The text is not JSON.") from None
    found = _unwrapped(found)
    for access_key, secret in _MEMBERS:
        if access_key in found or secret in found:
            return _text(found.get(access_key)), _text(found.get(secret))
    return "", ""


def _unwrapped(found: Any) -> Mapping[str, Any]:
    """The object that has the members, out of the objects and lists around it."""
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, list) and all(isinstance(one, dict) and "Field" in one for one in found):
        return {str(one["Field"]): one.get("Value") for one in found}
    if not isinstance(found, dict):
        raise Failure("The JSON holds more than one credential, or none.")
    inner = next((found[name] for name in _WRAPPERS if isinstance(found.get(name), dict)), found)
    return inner if isinstance(inner, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _write_env(pair: Pair, _: str, region: str, url: str) -> str:
    return (
        f"export AWS_ACCESS_KEY_ID={shlex.quote(pair.access_key)}\n"
        f"export AWS_SECRET_ACCESS_KEY={shlex.quote(pair.secret)}\n"
        f"export AWS_DEFAULT_REGION={region}\nexport AWS_ENDPOINT_URL={url}\n"
    )


def _write_aws(pair: Pair, profile: str, _: str, __: str) -> str:
    return f"[{profile}]\naws_access_key_id = {pair.access_key}\naws_secret_access_key = {pair.secret}\n"


def _write_ec2rc(pair: Pair, _: str, __: str, url: str) -> str:
    """Under the names of eucarc files too: euca2ools 3 reads those of AWS."""
    key, secret = shlex.quote(pair.access_key), shlex.quote(pair.secret)
    names = {"EC2_ACCESS_KEY": key, "EC2_SECRET_KEY": secret, "AWS_ACCESS_KEY": key, "AWS_SECRET_KEY": secret}
    return "".join(f"export {name}={value}\n" for name, value in names.items()) + f"export EC2_URL={url}/\n"


def _write_json(pair: Pair, _: str, __: str, ___: str) -> str:
    made = {"AccessKey": {"AccessKeyId": pair.access_key, "SecretAccessKey": pair.secret, "Status": "Active"}}
    return json.dumps(made, indent=2) + "\n"


_READ: Mapping[str, Callable[[str, str], tuple[str, str]]] = {
    "env": _read_variables("env"),
    "aws": _read_aws,
    "ec2rc": _read_variables("ec2rc"),
    "json": _read_json,
}
_WRITE: Mapping[str, Callable[[Pair, str, str, str], str]] = {
    "env": _write_env,
    "aws": _write_aws,
    "ec2rc": _write_ec2rc,
    "json": _write_json,
}
FORMATS = tuple(_READ)


def guess(text: str) -> str:
    """The format that a text looks like."""
    text = text.removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[{")):
        return "json"
    if re.search(r"^\s*\[", text, re.MULTILINE):
        return "aws"
    return "ec2rc" if "EC2_ACCESS_KEY" in text and "AWS_ACCESS_KEY_ID=" not in text else "env"
