"""The daemon of networks is told what the records say. What it could not do is done when the cloud is mended.

A record that is written is what counts: the daemon makes true what it can of the whole, whatever of it fails, and so
does `mend`, again and again. So a failure tells nothing of the change that was just made, and is told by `degraded`.
Only who needs the networks at once, to start a machine, is refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path

from isthmus.errors import Unavailable
from isthmus.model import ServerState
from isthmus.providers.local import firewalls, layout, plans
from isthmus.providers.local.base import Base
from isthmus.providers.local.codec import encode
from isthmus.providers.local.netd.client import NetdError
from isthmus.providers.local.netd.plan import Plan
from isthmus.providers.local.tables import write

_log = logging.getLogger(__name__)
UP = (ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.DELETING)
"""States of servers whose ports are in the plan."""
LATER = "what is written is done when the cloud's networks are mended"


def settle(base: Base, *, anew: bool = False) -> None:
    """Make the networks what the records say, unless they are so already; `anew` also then. Unavailable.

    The records have been written; `lock` is not held. Several threads and processes may want it at once: each waits
    for the others and then looks at the records itself, so what is done last is what was written last.
    """
    if not base.namespaces:
        return
    with base.networks_lock:
        plan = present(base)
        done = _done(base)
        mark = hashlib.sha256(json.dumps(encode(plan)).encode()).hexdigest()
        before = done.read_text() if done.exists() else ""
        if mark == before and not (anew and plan.networks):
            return
        try:
            base.netd.apply(plan)
            write(done, mark)
        except (NetdError, OSError) as error:  # the host's disk may be full
            done.unlink(missing_ok=True)
            raise Unavailable(f"the networks could not be changed: {error}; {LATER}") from error


def try_settle(base: Base) -> None:
    """The same for a change that is made by being written: a failure is logged, and told until it is mended."""
    try:
        settle(base)
    except Unavailable as error:
        _log.error("%s", error)


def mend(base: Base) -> None:
    """Start the daemon if it should run and does not, and let it look at everything again."""
    try:
        settle(base, anew=True)
    except Unavailable as error:
        _log.error("%s", error)


def plug(base: Base, port: str) -> int:
    """The descriptor of a new tap for a port that the networks have; the caller's to close. Unavailable."""
    try:
        return base.netd.plug(port)
    except NetdError as error:
        raise Unavailable(f"the port {port} could not be connected: {error}") from error


def present(base: Base) -> Plan:
    """The plan as the records are now."""
    servers = {record.noun.native: record for record in base.servers.everything()}
    up = {native for native, record in servers.items() if base.state_of(record) in UP and base.tapped(record)}
    tenants = dict.fromkeys(servers[native].tenant for native in sorted(up))
    return plans.compiled((_tenant(base, one) for one in tenants), up, str(base.metadata_socket), base.routed)


def _tenant(base: Base, tenant: str) -> plans.Tenant:
    return plans.Tenant(
        name=tenant,
        networks={one.noun: layout.wiring(base, one) for one in layout.networks(base, tenant)},
        subnets=[one.noun for one in layout.subnets(base, tenant)],
        ports=[one.noun for one in base.ports.owned(tenant)],
        firewalls=[one.noun for one in firewalls.all_of(base, tenant)],
        addresses=[one.noun for one in base.addresses.owned(tenant)],
    )


def told(base: Base) -> dict[str, str]:
    """What `/health` shows of the networks."""
    found = {"network": base.way.name, "network_reason": base.way.reason}
    if base.namespaces and not base.way.missing and (health := base.netd.health()).get("running"):
        found["networks"] = str(health.get("networks", ""))
    return found


def degraded(base: Base) -> list[str]:
    """What of the networks does not work, in words."""
    if not base.namespaces or base.way.missing:
        return []
    health = base.netd.health()
    found = [str(reason) for reason in health.get("failed", ())]
    if not health.get("running") and present(base).networks:
        found.append(f"the daemon of the networks does not run; {LATER}")
    elif not found and not _done(base).exists() and present(base).networks:
        found.append(f"not all changes of networks are in effect; {LATER}")
    if health.get("outside"):
        found.append(f"guests have no way out: {health['outside']}")
    return found


def clean(base: Base) -> None:
    """Remove all that the daemon has made, and the daemon; guests that still run have no network any more.

    Called with `networks_lock` held.
    """
    _done(base).unlink(missing_ok=True)
    base.netd.clean()


def _done(base: Base) -> Path:
    """What tells the plan that was made true last; it is not there while one could not be."""
    return base.state / "networks.done"
