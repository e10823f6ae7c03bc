"""What the settings speak of, opened: the clouds, the key of the store, and who answers metadata agents.

The only place that knows the clouds by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from isthmus.config import CloudSettings, Settings, metadata_socket, read
from isthmus.errors import Fault, Invalid
from isthmus.options import Address, ConfigError

if TYPE_CHECKING:
    from isthmus.providers import Cloud


def master_key(settings: Settings) -> bytes:
    """The key that encrypts the secrets in the store; made at the first start."""
    from isthmus.store import secrets

    return secrets.load_or_create(settings.store_key)


def open_clouds(settings: Settings, clock: Callable[[], datetime]) -> Mapping[str, Cloud]:
    """The configured clouds by name. Raises ConfigError where one cannot be opened."""
    opened: dict[str, Cloud] = {}
    for cloud in settings.clouds.values():
        opened[cloud.name] = _OPEN[cloud.kind](settings, cloud, clock, opened)
    return opened


@dataclass(frozen=True, slots=True)
class Agents:
    """Where a cloud's metadata agents find us, the secret shared with them, and the URL of Nova's own service."""

    listen: Address
    secret: bytes = field(repr=False)
    nova: str


def metadata_agents(settings: Settings) -> Mapping[str, Agents]:
    """By the names of the clouds that have some. Raises ConfigError unless each has a secret."""
    found = {}
    for cloud in settings.clouds.values():
        given = cloud.options
        if listen := given.get("metadata_listen"):
            secret = _secret(given, "metadata_secret")
            if not secret:
                reason = "the secret that metadata_proxy_shared_secret of Neutron's agents has, and it is not empty"
                raise ConfigError(f"[clouds.{cloud.name}]: metadata_listen needs metadata_secret_file: {reason}.")
            found[cloud.name] = Agents(listen, secret.encode(), given.get("metadata_nova", ""))
    return found


def _open_memory(
    settings: Settings, cloud: CloudSettings, clock: Callable[[], datetime], opened: Mapping[str, Cloud]
) -> Cloud:
    from isthmus.providers.memory import Memory

    settle = timedelta(milliseconds=cloud.options.get("settle_ms", 200))
    return Memory(cloud.name, tuple(cloud.zones.values()), tuple(settings.flavors.values()), clock, settle)


def _open_local(
    settings: Settings, cloud: CloudSettings, clock: Callable[[], datetime], opened: Mapping[str, Cloud]
) -> Cloud:
    from isthmus.providers.local import Local

    try:
        return Local(
            cloud.name,
            settings.state / cloud.name,
            tuple(cloud.zones.values()),
            tuple(settings.flavors.values()),
            metadata_socket=metadata_socket(settings, cloud.name),
            **cloud.options,
        )
    except Invalid as error:
        raise ConfigError(f"The cloud {cloud.name!r} cannot be opened: {error}.") from None


def _open_openstack(
    settings: Settings, cloud: CloudSettings, clock: Callable[[], datetime], opened: Mapping[str, Cloud]
) -> Cloud:
    try:
        from isthmus.providers.openstack import OpenStack, Options
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("isthmus"):
            raise
        raise ConfigError(
            f"The cloud {cloud.name!r} needs OpenStack's SDK, which is not installed: pip install 'isthmus[openstack]'."
        ) from None
    given = dict(cloud.options)
    kept = {
        name: given[name]
        for name in ("region", "interface", "external_network", "flavors", "credentials", "cloud")
        if name in given
    }
    said = Options(
        clouds_yaml=str(given.get("clouds_yaml", "")),
        auth=_login(given),
        verify=_verified(given),
        **kept,
    )
    try:
        return OpenStack(cloud.name, tuple(cloud.zones.values()), said)
    except Fault as fault:
        raise ConfigError(f"The cloud {cloud.name!r} cannot be opened: {fault}.") from None


def _open_cloudstack(
    settings: Settings, cloud: CloudSettings, clock: Callable[[], datetime], opened: Mapping[str, Cloud]
) -> Cloud:
    from isthmus.providers.cloudstack import CloudStack, Keys, Options

    given = cloud.options
    ours = ("api_key", "secret_key", "secret_key_file", "cacert")
    kept = {name: value for name, value in given.items() if name not in ours}
    admin = Keys(given["api_key"], _secret(given, "secret_key")) if "api_key" in given else None
    said = Options(**{**kept, "verify": _verified(given), "admin": admin, "sizes": settings.flavors})
    return CloudStack(cloud.name, tuple(cloud.zones.values()), said, opened.values())


def _verified(given: Mapping[str, Any]) -> bool | str:
    """Whether a cloud's certificates are verified, or the file of the authorities that may have signed them."""
    return str(given["cacert"]) if "cacert" in given else bool(given.get("verify", True))


def _login(given: Mapping[str, Any]) -> Mapping[str, str]:
    """The service's own login, under OpenStack's names for its parts."""
    login = {name: given[key] for key, name in _LOGIN.items() if key in given}
    if "username" in login:
        login = {"user_domain_name": "Default", **login}
    if "project_name" in login:
        login = {"project_domain_name": "Default", **login}
    if "password_file" in given:
        login["password"] = _secret(given, "password")
    return login


def _secret(given: Mapping[str, Any], name: str) -> str:
    """An option, or else what is in its file; empty where neither is given."""
    if name in given:
        return str(given[name])
    return read(given[f"{name}_file"]).rstrip("\r\n") if f"{name}_file" in given else ""


_LOGIN = {
    "auth_url": "auth_url",
    "username": "username",
    "password": "password",
    "project": "project_name",
    "user_domain": "user_domain_name",
    "project_domain": "project_domain_name",
}

_OPEN: Mapping[str, Callable[[Settings, CloudSettings, Callable[[], datetime], Mapping[str, Cloud]], Cloud]] = {
    "cloudstack": _open_cloudstack,
    "local": _open_local,
    "memory": _open_memory,
    "openstack": _open_openstack,
}
