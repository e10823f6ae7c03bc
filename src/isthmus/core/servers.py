"""What can be done to servers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from isthmus.context import Context
from isthmus.core import ports, publics
from isthmus.core.ids import Kind
from isthmus.core.instance import Instance
from isthmus.core.instances import pick, some
from isthmus.core.nouns import dump_server
from isthmus.core.registry import each, family
from isthmus.errors import Conflict, Denied, Invalid, Unsupported
from isthmus.model import Condition, Console, Flavor, ServerState, Verdict
from isthmus.providers import Capability, Compute, Session
from isthmus.store import Record

_WELL = Condition(Verdict.OK, Verdict.OK)
_LIVE = frozenset({ServerState.PENDING, ServerState.RUNNING, ServerState.STOPPING, ServerState.STOPPED})


def compute(session: Session) -> Compute:
    return family(session.compute, "servers")


def flavors(cx: Context, cloud: str) -> Mapping[str, Flavor]:
    """The flavors of a cloud by name."""
    return {one.name: one for one in compute(cx.session(cloud)).list_flavors()}


def demand_flavor(cx: Context, cloud: str, name: str) -> Flavor:
    """Raises Invalid for a flavor that the cloud does not have."""
    found = flavors(cx, cloud).get(name)
    if found is None:
        raise Invalid(f"Invalid value '{name}' for InstanceType.", "flavor")
    return found


Change = tuple[Instance, Instance]


def start(cx: Context, ids: Collection[str]) -> list[Change]:
    """Start stopped servers; those that run are left alone. Raises Conflict for any other state."""
    changes = _each(cx, ids, _START, lambda api, one: api.start_server(one.server.native))
    _explain(cx, [before for before, _ in changes if before.launch.reason], "")
    for before, _ in changes:
        if before.launch.public and before.server.state is ServerState.STOPPED:
            publics.renew(cx, before)
    return changes


def stop(cx: Context, ids: Collection[str], *, force: bool = False) -> list[Change]:
    """Stop servers; those that are stopped are left alone. Raises Denied for a protected one."""
    for one in pick(cx, ids):
        if one.launch.stop_protected:
            raise Denied(f"The instance '{one.id}' may not be stopped. Modify its 'disableApiStop' instance attribute.")
    step = _FORCED if force else _STOP
    changes = _each(cx, ids, step, lambda api, one: api.stop_server(one.server.native, force=force))
    _explain(cx, [before for before, _ in changes if before.server.state is ServerState.RUNNING], _said_by_user(cx))
    for before, _ in changes:
        if before.launch.public:
            publics.release(cx, before.id)
    return changes


def reboot(cx: Context, ids: Collection[str]) -> None:
    for one in pick(cx, ids):
        if one.server.state is not ServerState.RUNNING:
            raise Conflict(Kind.SERVER, one.id, f"The instance {one.id} is not in the state 'running'.")
    for one in pick(cx, ids):
        compute(cx.session(one.cloud)).reboot_server(one.server.native)


def delete(cx: Context, ids: Collection[str], *, force: bool = False) -> list[Change]:
    """Terminate servers; what is terminated already stays so. Raises Denied if any of them is protected."""
    wanted = pick(cx, ids)
    for one in wanted:
        if one.launch.termination_protected and one.server.state in _LIVE:
            reason = "Modify its 'disableApiTermination' instance attribute and try again."
            raise Denied(f"The instance '{one.id}' may not be terminated. {reason}")
    live = {one.id: one for one in wanted if one.server.state is not ServerState.DELETED}
    for cloud in {one.cloud for one in live.values()}:
        natives = [one.server.native for one in live.values() if one.cloud == cloud]
        compute(cx.session(cloud)).prepare_deletion(natives)
    each(cx, lambda one: _delete(cx, one, force=force), list(live.values()))
    return [(one, _going(one) if one.id in live else one) for one in wanted]


def _delete(cx: Context, one: Instance, *, force: bool = False) -> None:
    compute(cx.session(one.cloud)).delete_server(one.server.native, force=force)
    _mark(cx, one)
    if one.launch.public:
        publics.release(cx, one.id)


def _going(one: Instance) -> Instance:
    """A server that its cloud has just been told to delete; what is gone at once has been on its way, too."""
    return one._replace(server=replace(one.server, state=ServerState.DELETING))


def _mark(cx: Context, one: Instance) -> None:
    """Remember a server as it was, and that its end was asked for; forget the disks and ports that go with it."""
    if one.record and one.record.gone:
        return
    reason = "" if one.server.shut_down else _said_by_user(cx)
    launch = replace(one.launch, reason=reason).dump()
    last = dump_server(replace(one.server, reason=reason))
    data = {**(one.record.data if one.record else {}), "launch": launch, "last": last}
    with cx.store.change(cx.account) as change:
        change.put(_record_of(cx, one, data, cx.now()))
        for port in one.server.ports:
            if port.delete_with_server:
                change.drop(ports.port_id(one.cloud, port))
        for disk in one.disks_seen:
            if any(held.delete_with_server and held.server == one.server.native for held in disk.noun.attachments):
                change.drop(disk.id)


def _record_of(cx: Context, one: Instance, data: Mapping[str, Any], gone: datetime | None = None) -> Record:
    """The record of a server; a new one for what was made by other means."""
    known = one.record
    if known:
        return replace(known, native=one.server.native, data=data, gone=gone or known.gone)
    return Record(one.id, cx.account, Kind.SERVER, one.cloud, one.server.native, data, cx.now(), gone)


def _said_by_user(cx: Context) -> str:
    return f"User initiated ({cx.now():%Y-%m-%d %H:%M:%S} GMT)"


def _explain(cx: Context, these: Sequence[Instance], reason: str) -> None:
    """Write down why servers are in the state they are in."""
    if not these:
        return
    with cx.store.change(cx.account) as change:
        for one in these:
            launch = replace(one.launch, reason=reason).dump()
            change.put(_record_of(cx, one, {**(one.record.data if one.record else {}), "launch": launch}))


def resize(cx: Context, instance: Instance, flavor: str) -> None:
    """Change a stopped server's flavor, by name."""
    found = demand_flavor(cx, instance.cloud, flavor)
    if instance.server.state is not ServerState.STOPPED:
        raise Conflict(Kind.SERVER, instance.id, f"The instance '{instance.id}' is not in the 'stopped' state.")
    compute(cx.session(instance.cloud)).resize_server(instance.server.native, found.native)


def set_user_data(cx: Context, instance: Instance, text: str, data: bytes) -> None:
    """Change a stopped server's user data: `text` is what clients are shown of it, `data` what guests read.

    A cloud that cannot change its own keeps that of the launch.
    """
    if Capability.USER_DATA not in cx.world.clouds[instance.cloud].lacks:
        compute(cx.session(instance.cloud)).set_user_data(instance.server.native, data)
    change_launch(cx, instance, user_data=text)


def change_launch(cx: Context, instance: Instance, **changes: object) -> None:
    """Change what the API knows of a server: fields of Launch."""
    launch = replace(instance.launch, **changes)  # type: ignore[arg-type]
    data = {**(instance.record.data if instance.record else {}), "launch": launch.dump()}
    with cx.store.change(cx.account) as change:
        change.put(_record_of(cx, instance, data))


def set_groups(cx: Context, instance: Instance, groups: Sequence[str]) -> None:
    """Change the firewalls of a server's first port."""
    for port in instance.server.ports[:1]:
        ports.set_firewalls(cx, ports.one(cx, ports.port_id(instance.cloud, port)), groups)


def conditions(cx: Context, these: Sequence[Instance]) -> Mapping[str, Condition]:
    """How those are that run, by id; ones that their cloud does not look into are as well as they seem."""
    running: dict[str, list[Instance]] = {}
    for one in these:
        if one.server.state is ServerState.RUNNING:
            running.setdefault(one.cloud, []).append(one)
    found: dict[str, Condition] = {}
    for cloud, held in running.items():
        known = compute(cx.session(cloud)).conditions([one.server.native for one in held])
        found |= {one.id: known.get(one.server.native, _WELL) for one in held}
    return found


def end_those_shut_down(cx: Context, these: Sequence[Instance]) -> None:
    """Terminate what was shut down from inside and is to go then; protection is against others, not against that."""
    for one in these:
        if one.server.state is ServerState.STOPPED and one.server.shut_down and one.launch.shutdown == "terminate":
            _delete(cx, one)


def console(cx: Context, instance: str) -> Console:
    [one] = pick(cx, [instance])
    if one.server.state is ServerState.DELETED:
        return Console(b"", cx.now())
    return compute(cx.session(one.cloud)).console_output(one.server.native)


def password(cx: Context, instance: str) -> str:
    """The administrator's password, encrypted with the key pair; empty until the guest has set one, or if it has none.

    Raises Unsupported for a Windows whose cloud does not tell it.
    """
    [one] = pick(cx, [instance])
    try:
        return compute(cx.session(one.cloud)).password_data(one.server.native)
    except Unsupported:
        if one.server.platform:
            raise
        return ""


@dataclass(frozen=True)
class _Step:
    """A change of state: what it acts on, and what it finds done already."""

    word: str
    on: frozenset[ServerState]
    done: frozenset[ServerState]


_START = _Step("started", frozenset({ServerState.STOPPED}), frozenset({ServerState.PENDING, ServerState.RUNNING}))
_STOP = _Step("stopped", frozenset({ServerState.RUNNING}), frozenset({ServerState.STOPPING, ServerState.STOPPED}))
_FORCED = _Step("stopped", _STOP.on | {ServerState.STOPPING}, _STOP.done)


def _each(cx: Context, ids: Collection[str], step: _Step, act: Callable[[Compute, Instance], None]) -> list[Change]:
    """Act on each server in a state that allows it; Conflict, before anything is done, for one that cannot."""
    before = pick(cx, ids)
    for one in before:
        if one.server.state not in step.on | step.done:
            reason = f"The instance '{one.id}' is not in a state from which it can be {step.word}."
            raise Conflict(Kind.SERVER, one.id, reason)
    on = [one for one in before if one.server.state in step.on]
    each(cx, lambda one: act(compute(cx.session(one.cloud)), one), on)
    after = some(cx, ids).by_id
    return [(one, after.get(one.id, one)) for one in before]
