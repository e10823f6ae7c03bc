"""What /health tells: facts about the service and its clouds, none about who uses them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from isthmus import __version__
from isthmus.config import Settings
from isthmus.errors import Fault
from isthmus.gateway import Gateway
from isthmus.providers import Cloud

log = logging.getLogger("isthmus.serving.health")


def health(gateway: Gateway, settings: Settings) -> Mapping[str, Any]:
    """The state of everything. `status` is `ok`, `degraded` (it works, but not all of it) or `failed`."""
    clouds = {name: _cloud(cloud, settings) for name, cloud in gateway.world.clouds.items()}
    store = _store(gateway, settings)
    degraded = [f"{name}: {reason}" for name, cloud in clouds.items() for reason in cloud["degraded"]]
    return {
        "status": "failed" if not store["ok"] else "degraded" if degraded else "ok",
        "version": __version__,
        "region": settings.region,
        "workers": settings.workers,
        "clouds": clouds,
        "store": store,
        "degraded": degraded,
    }


def _cloud(cloud: Cloud, settings: Settings) -> Mapping[str, Any]:
    known = settings.clouds[cloud.name]
    facts = {"kind": known.kind, "zones": list(known.zones)}
    try:
        found = cloud.health()
    except Fault as fault:
        return {**facts, "details": {}, "degraded": [str(fault) or type(fault).__name__]}
    except Exception:
        log.exception("the health of cloud %s cannot be told", cloud.name)
        return {**facts, "details": {}, "degraded": ["Its health cannot be told; the log says more."]}
    return {**facts, "details": dict(found.details), "degraded": list(found.degraded)}


def _store(gateway: Gateway, settings: Settings) -> Mapping[str, Any]:
    kind = settings.store_url.partition(":")[0].partition("+")[0]
    try:
        gateway.world.store.accounts()
    except Exception:
        log.exception("the store does not answer")
        return {"kind": kind, "ok": False}
    return {"kind": kind, "ok": True}
