"""One TOML file, the environment and the command line -> typed settings. The only reader of files and environment."""

from __future__ import annotations

import os
import string
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from isthmus import options
from isthmus.context import SERVICES, Limits, Place
from isthmus.flavors import BUILT_IN
from isthmus.model import Flavor
from isthmus.options import Address, ConfigError, Merged, Table
from isthmus.quotas import QUOTAS

__all__ = ["CloudSettings", "ConfigError", "Settings", "build", "load", "merge", "metadata_socket", "places", "read"]

KINDS: Mapping[str, Mapping[str, Callable[[object], Any]]] = {
    "cloudstack": {
        "url": options.matching(r"https?://[^\s]+", "a URL"),
        "api_key": options.text,
        "secret_key": options.text,
        "secret_key_file": options.path,
        "verify": options.flag,
        "cacert": options.path,
        "timeout": options.whole(1, 3600),
        "security_groups": options.flag,
        "flavors": options.names,
        "volume_types": options.names,
        "os_type": options.text,
        "expunge": options.flag,
        "vpc_offering": options.text,
        "network_offering": options.text,
        "registration": options.choice("off", "encrypted", "any"),
    },
    "local": {
        "accelerator": options.choice("auto", "kvm", "tcg"),
        "memory": options.whole(0, 1 << 30),
        "cpus": options.whole(0, 1 << 20),
        "user": options.text,
        "network": options.choice("auto", "namespaces", "slirp"),
        "public": options.one_range,
    },
    "memory": {"settle_ms": options.whole(0, 60_000)},
    "openstack": {
        "cloud": options.text,
        "clouds_yaml": options.path,
        "auth_url": options.matching(r"https?://[^\s]+", "a URL"),
        "username": options.text,
        "password": options.text,
        "password_file": options.path,
        "project": options.text,
        "user_domain": options.text,
        "project_domain": options.text,
        "region": options.text,
        "interface": options.choice("public", "internal", "admin"),
        "verify": options.flag,
        "cacert": options.path,
        "external_network": options.text,
        "flavors": options.names,
        "credentials": options.choice("validate", "fetch"),
        "metadata_listen": options.address,
        "metadata_secret": options.text,
        "metadata_secret_file": options.path,
        "metadata_nova": options.matching(r"https?://[^\s/]+", "a URL without a path"),
    },
}
"""The kinds of clouds, each with the options of its own and how they are read."""
_ONE_ZONE = {"openstack": "nova"}
"""What a cloud itself calls its only zone, where that is not the name that clients see."""

VARIABLES = {
    "ISTHMUS_REGION": "region",
    "ISTHMUS_LISTEN": "listen",
    "ISTHMUS_STATE": "state",
    "ISTHMUS_WORKERS": "workers",
    "ISTHMUS_OPERATOR": "operator",
    "ISTHMUS_STORE": "store.url",
    "ISTHMUS_STORE_KEY": "store.key",
    "ISTHMUS_LOG_LEVEL": "log.level",
    "ISTHMUS_LOG_REQUESTS": "log.requests",
    "ISTHMUS_MAX_BODY": "limits.max_body",
    "ISTHMUS_MAX_LIST": "limits.max_list",
    "ISTHMUS_TERMINATED_VISIBLE": "limits.terminated_visible",
    "ISTHMUS_THREADS": "http.threads",
    "ISTHMUS_RECONCILE_SECONDS": "background.reconcile_seconds",
    "ISTHMUS_METADATA": "background.metadata",
}
"""The environment variables that set an option. ISTHMUS_CONFIG and ISTHMUS_CLOUD are read beside these."""

_LIMITS = {
    "max_body": (1024, 1 << 30),
    "max_list": (1, 1_000_000),
}
_QUOTA = (0, 10_000_000)
_HTTP = {
    "threads": (1, 1000),
    "in_flight": (1, 100_000),
    "head_bytes": (4096, 16 << 20),
    "headers": (16, 10_000),
    "request_seconds": (1, 3600),
    "idle_seconds": (1, 3600),
    "stop_seconds": (1, 3600),
}
_OWN_VARIABLES = ("ISTHMUS_CONFIG", "ISTHMUS_CLOUD")
_OWN_FILES = ("aws", "metadata", "run")
"""What the state directory holds beside one directory for each cloud that needs one."""
_NAME = r"[a-z][a-z0-9-]{0,30}"
_SOCKET_PATH = 107
"""The longest path of a Unix socket on Linux, in bytes."""


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """A configured cloud. `zones` maps the zones that clients see to the cloud's own; empty: not given."""

    name: str
    kind: str
    zones: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """There may be a password among them."""


@dataclass(frozen=True, slots=True)
class Http:
    """What a connection may use up."""

    threads: int = 16
    in_flight: int = 1000
    head_bytes: int = 64 * 1024
    headers: int = 100
    request_seconds: int = 30
    idle_seconds: int = 75
    stop_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Log:
    level: str = "info"
    requests: bool = True


@dataclass(frozen=True, slots=True)
class Background:
    """The duties that one process of a host does for all."""

    reconcile_seconds: int = 60
    metadata: bool = True


@dataclass(frozen=True)
class Settings:
    region: str
    listen: Address
    state: Path
    workers: int
    operator: str
    store_url: str = field(repr=False)
    store_key: Path
    limits: Limits
    http: Http
    log: Log
    background: Background
    clouds: Mapping[str, CloudSettings]
    flavors: Mapping[str, Flavor]
    endpoints: Mapping[str, tuple[str, ...]]
    """The ranges of addresses of services, by their names."""

    @property
    def run(self) -> Path:
        """Where sockets and locks of running processes are."""
        return self.state / "run"


def load(
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings of file, environment and command line. Raises ConfigError with one clear sentence."""
    return build(merge(file, flags, environ), environ)


def merge(
    file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Merged:
    """All sources in one: the command line over the environment over the file. `flags` has options by their path."""
    given = file or (Path(environ["ISTHMUS_CONFIG"]) if environ.get("ISTHMUS_CONFIG") else None)
    merged = Merged(_parse(given) if given else {}, str(given) if given else "the settings", {})
    values, origins = dict(merged.values), {}
    _check_variables(environ)
    found = [(path, environ[name], name) for name, path in VARIABLES.items() if environ.get(name)]
    found += [("cloud", environ["ISTHMUS_CLOUD"], "ISTHMUS_CLOUD")] if environ.get("ISTHMUS_CLOUD") else []
    found += [(path, value, f"--{path}") for path, value in (flags or {}).items() if value is not None]  # type: ignore[misc]
    for path, value, origin in found:
        if path == "cloud":
            values["clouds"] = {value: {"kind": value}}
            origins[f"clouds.{value}.kind"] = origin
        else:
            _put(values, path, value)
            origins[path] = origin
    return Merged(values, merged.source, origins)


def build(merged: Merged, environ: Mapping[str, str] = os.environ) -> Settings:
    """Check and type what was merged."""
    top = Table(merged.values, merged.source, origins=merged.origins)
    region = top.get("region", options.matching(r"[a-z][a-z0-9-]{0,62}", "a name like us-east-1"), "us-east-1")
    state = top.get("state", options.path, _data_home(environ) / "isthmus")
    store = top.table("store")
    settings = Settings(
        region=region,
        listen=top.get("listen", options.address, Address("127.0.0.1", 8788)),
        state=state,
        workers=top.get("workers", options.whole(1, 256), 1),
        operator=top.get("operator", options.matching("[0-9]{12}", "12 digits in quotes"), "0" * 12),
        store_url=store.get("url", options.text, f"sqlite:///{state / 'isthmus.db'}"),
        store_key=store.get("key", options.path, state / "master.key"),
        limits=_limits(top.table("limits")),
        http=_http(top.table("http")),
        log=_log(top.table("log")),
        background=_background(top.table("background")),
        clouds=_clouds(top, region),
        flavors=_flavors(top),
        endpoints=_endpoints(top.table("endpoints")),
    )
    store.close()
    top.close()
    _check(settings)
    return settings


def places(settings: Settings) -> Mapping[str, Place]:
    """The zones that clients see, in the order of the configuration."""
    return {
        zone: Place(zone, cloud.name, native)
        for cloud in settings.clouds.values()
        for zone, native in cloud.zones.items()
    }


def metadata_socket(settings: Settings, cloud: str) -> Path | None:
    """Where the guests of a local cloud find their metadata, if they are to."""
    return settings.run / f"{cloud}.metadata" if settings.background.metadata else None


def read(file: Path) -> str:
    """The text of a file that the settings name. Raises ConfigError."""
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: is not a text in UTF-8.") from None


def _parse(file: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(read(file))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}.") from None


def _check_variables(environ: Mapping[str, str]) -> None:
    """Refuse variables that look like a mistyped one of ours; what others keep under our prefix is theirs."""
    known = [name.removeprefix("ISTHMUS_") for name in (*VARIABLES, *_OWN_VARIABLES)]
    for name in environ:
        word = name.removeprefix("ISTHMUS_")
        if word != name and word not in known and (found := get_close_matches(word, known, n=1, cutoff=0.75)):
            raise ConfigError(f"The environment variable {name} is unknown. Did you mean ISTHMUS_{found[0]}?")


def _put(values: dict[str, object], path: str, value: object) -> None:
    section, _, key = path.rpartition(".")
    if not section:
        values[key] = value
    elif isinstance(inner := values.get(section, {}), dict):
        values[section] = {**inner, key: value}


def _data_home(environ: Mapping[str, str]) -> Path:
    given = environ.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else Path("~/.local/share").expanduser()


def _limits(given: Table) -> Limits:
    default = Limits()
    visible = given.get("terminated_visible", options.whole(0, 31_536_000), default.terminated_visible.seconds)
    bounds = options.whole(*_QUOTA)
    asked = {name: given.get(name, bounds, quota.most) for name, quota in QUOTAS.items()}
    quotas = {name: most for name, most in asked.items() if most != QUOTAS[name].most}
    limits = Limits(terminated_visible=timedelta(seconds=visible), quotas=quotas, **_numbers(given, _LIMITS, default))
    given.close()
    return limits


def _http(given: Table) -> Http:
    http = Http(**_numbers(given, _HTTP, Http()))
    given.close()
    return http


def _numbers(given: Table, bounds: Mapping[str, tuple[int, int]], default: object) -> dict[str, int]:
    return {name: given.get(name, options.whole(*both), getattr(default, name)) for name, both in bounds.items()}


def _log(given: Table) -> Log:
    level = given.get("level", options.choice("debug", "info", "warning", "error"), Log().level)
    log = Log(level, given.get("requests", options.flag, Log().requests))
    given.close()
    return log


def _background(given: Table) -> Background:
    default = Background()
    background = Background(
        reconcile_seconds=given.get("reconcile_seconds", options.whole(1, 86_400), default.reconcile_seconds),
        metadata=given.get("metadata", options.flag, default.metadata),
    )
    given.close()
    return background


def _clouds(top: Table, region: str) -> Mapping[str, CloudSettings]:
    """The configured clouds, with zones for those that were given none: the region and the next free letter."""
    clouds = [_cloud(name, given) for name, given in top.table("clouds").tables()]
    taken = {zone for cloud in clouds for zone in cloud.zones}
    free = (f"{region}{letter}" for letter in string.ascii_lowercase if f"{region}{letter}" not in taken)
    made: dict[str, CloudSettings] = {}
    for cloud in clouds or [CloudSettings("local", "local", {})]:
        zones = cloud.zones or {(zone := next(free, f"{region}-{cloud.name}")): _ONE_ZONE.get(cloud.kind, zone)}
        made[cloud.name] = CloudSettings(cloud.name, cloud.kind, zones, cloud.options)
    return made


def _cloud(name: str, given: Table) -> CloudSettings:
    kind = given.need("kind", options.choice(*KINDS))
    try:
        options.matching(_NAME, "a name in small letters, digits and dashes")(name)
    except ValueError as error:
        raise given.error("kind", f"belongs to a cloud whose name {error}") from None
    if name in _OWN_FILES:
        raise given.error("kind", f"belongs to a cloud that cannot be named {name}: Isthmus uses that name itself")
    nothing: Mapping[str, str] = {}
    zones = given.get("zones", options.names, nothing)
    own = {key: value for key, read in KINDS[kind].items() if (value := given.get(key, read, None)) is not None}
    given.close()
    if kind == "openstack" and "cloud" not in own:
        _demand_login(given, own)
    if kind == "cloudstack":
        _demand_place(given, zones, own)
    return CloudSettings(name, kind, zones, own)


def _demand_login(given: Table, own: Mapping[str, Any]) -> None:
    for key in ("auth_url", "username", "project"):
        if key not in own:
            raise given.error(key, "is missing: say the service's own login, or name an entry of clouds.yaml as cloud")
    if "password" not in own and "password_file" not in own:
        raise given.error("password_file", "is missing, and so is password")


def _demand_place(given: Table, zones: Mapping[str, str], own: Mapping[str, Any]) -> None:
    if not zones:
        raise given.error("zones", "is missing: say which zones of the cloud")
    if "url" not in own:
        raise given.error("url", "is missing: say where the cloud's API is")
    secret = "secret_key" in own or "secret_key_file" in own
    if secret != ("api_key" in own):
        raise given.error("api_key" if secret else "secret_key_file", "is missing: an administrator's keys are a pair")


def _flavors(top: Table) -> Mapping[str, Flavor]:
    found = dict(BUILT_IN) if top.get("builtin_flavors", options.flag, True) else {}
    for name, given in top.table("flavors").tables():
        found[name] = Flavor(
            native=name,
            name=name,
            cpus=given.need("cpus", options.whole(1, 1024)),
            memory=given.need("memory", options.whole(16, 64 << 20)),
            disk=given.get("disk", options.whole(0, 65_536), 0),
            architecture=given.get("architecture", options.choice("x86_64", "arm64", "i386"), "x86_64"),
        )
        given.close()
    if not found:
        raise top.error("builtin_flavors", "is false, so [flavors] must list at least one size of server")
    return found


def _endpoints(given: Table) -> Mapping[str, tuple[str, ...]]:
    nothing: tuple[str, ...] = ()
    found = {service: given.get(service, options.ranges, nothing) for service in SERVICES}
    given.close()
    return found


def _check(settings: Settings) -> None:
    """What no single option shows to be wrong."""
    zones = [zone for cloud in settings.clouds.values() for zone in cloud.zones]
    if twice := {zone for zone in zones if zones.count(zone) > 1}:
        raise ConfigError(f"The zone {min(twice)} belongs to two clouds.")
    _demand_one_of_a_kind([one for one in settings.clouds.values() if one.kind == "cloudstack"])
    for cloud in settings.clouds.values():
        if cloud.kind == "memory" and settings.workers > 1:
            raise ConfigError(
                f"The cloud {cloud.name!r} lives in the memory of one process: it cannot be shared by "
                f"{settings.workers} workers. Set workers to 1, or choose another kind of cloud."
            )
        socket = metadata_socket(settings, cloud.name)
        if cloud.kind == "local" and socket and len(os.fsencode(socket)) > _SOCKET_PATH:
            raise ConfigError(f"The state directory {settings.state} has a path too long for Unix sockets.")


def _demand_one_of_a_kind(clouds: Iterable[CloudSettings]) -> None:
    """Raises ConfigError for two clouds of one CloudStack and one kind of zones.

    Security groups, and what stands for them in a default network, are in no zone: both would have all of them.
    """
    known: dict[tuple[object, bool], str] = {}
    for one in clouds:
        kind = one.options["url"], bool(one.options.get("security_groups"))
        if (other := known.setdefault(kind, one.name)) != one.name:
            groups = f"{'with' if kind[1] else 'without'} security groups"
            raise ConfigError(
                f"The clouds {other!r} and {one.name!r} are of one CloudStack, and both of zones {groups}: "
                "let one have the zones of both."
            )
