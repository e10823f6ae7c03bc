"""`isthmus import`: take over what another gateway was told; here the ids that those of OpenStack gave out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from isthmus.cli import common, ec2stack
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.options import nearest

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from isthmus.cli import ec2api_vpcs
    from isthmus.config import Settings
    from isthmus.providers.openstack.administrator import Administrator, Tagging
    from isthmus.store import Store, View

app = typer.Typer(help="Take over what another gateway was told, or the ids that it gave out.", no_args_is_help=True)
app.command("ec2stack")(ec2stack.take)

TAKEN = {
    "i": "server",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "aki": "kernel",
    "ari": "ramdisk",
    "eni": "port",
    "subnet": "subnet",
    "vpc": "network",
    "sg": "firewall",
    "eipalloc": "address",
}
"""The prefixes of ids of things that OpenStack has under one id of its own, with our kinds."""
PUBLIC = ("ami", "aki", "ari")
"""The prefixes of ids that all projects know, of images that ec2-api keeps for none of them."""
_MOST_TAGS = 50

NeutronDb = Annotated[
    str,
    typer.Option(
        "--neutron-db", metavar="URL", help="Neutron's database: it tells the networks of VPCs with one subnet."
    ),
]
OsCloud = Annotated[
    str,
    typer.Option("--os-cloud", metavar="NAME", help="An administrator's entry in clouds.yaml: by it VPCs are tagged."),
]
CloudName = Annotated[str, typer.Option("--cloud", help="The OpenStack's name in the configuration.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")]


class Item(NamedTuple):
    """A thing of OpenStack's with the id that another gateway gave it."""

    id: str
    project: str
    native: str

    @property
    def prefix(self) -> str:
        return self.id.rpartition("-")[0]


@dataclass
class Old:
    """What another gateway knew."""

    items: Sequence[Item]
    tags: Mapping[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """By project and id."""
    nameless: Sequence[str] = ()
    """Ids of what is no thing of OpenStack's, or of nobody knows which project."""
    plans: Mapping[str, ec2api_vpcs.Plan] = field(default_factory=dict)
    """What it alone knew, by project."""
    public: Sequence[Item] = ()
    """Images whose ids all projects know."""
    tag: Callable[[Tagging], None] = lambda _: None
    """Write a tag to Neutron."""


@app.command("ec2-api")
def ec2_api(
    db: Annotated[str, typer.Option("--db", metavar="URL", help="ec2-api's database, as SQLAlchemy names it.")],
    cloud: CloudName,
    neutron_db: NeutronDb = "",
    os_cloud: OsCloud = "",
    dry_run: DryRun = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Take over the ids and tags that OpenStack's ec2-api gave out, so that Terraform's states and scripts stay good.

    Ids of instances, volumes, snapshots, images, network interfaces, subnets, security groups and elastic IPs go on
    to name what they named; those of public images do so for every project, also one that comes later. VPCs were
    routers there, and each subnet had a network of its own, while a VPC is a network here. With --os-cloud, the
    login of an administrator, the networks of a VPC are tagged in Neutron as one, and so are its router and its
    security groups; its id, its range, its internet gateways and its route tables with their routes and
    associations go on. With --neutron-db instead nothing is tagged, and VPCs with one subnet are taken over. Each
    project becomes an account, if it is none yet. The databases stay as they are; running it again takes over what
    is new. What is not taken over, or not as it was, is told with the reason.

    Example: isthmus import ec2-api --cloud private --db mysql+pymysql://ec2api:secret@db/ec2api --os-cloud admin
    """
    from isthmus.cli import ec2api_vpcs

    if os_cloud and neutron_db:
        raise Failure("Say --os-cloud or --neutron-db: with the former Neutron itself is asked.")
    if os_cloud:
        with _administrator(common.settings(config_file, state), cloud, os_cloud) as known:
            read = partial(_of_ec2_api, source=ec2api_vpcs.by_administrator(known.project), tag=known.tag)
            _take_over(db, cloud, read, dry_run, config_file, state)
        return
    source = ec2api_vpcs.by_database(_networks(neutron_db)) if neutron_db else ec2api_vpcs.by_nobody()
    _take_over(db, cloud, partial(_of_ec2_api, source=source), dry_run, config_file, state)


@contextmanager
def _administrator(known: Settings, cloud: str, login: str) -> Iterator[Administrator]:
    """Who tags. Raises Failure for a cloud that is no OpenStack."""
    if cloud not in known.clouds or known.clouds[cloud].kind != "openstack":
        raise Failure(f"--os-cloud is for an OpenStack, and {cloud} is none in the settings.")
    from isthmus.providers.openstack.administrator import Administrator
    from isthmus.providers.openstack.cloud import Options

    given = known.clouds[cloud].options
    kept = {name: given[name] for name in ("region", "interface") if name in given}
    opened = Administrator(Options(cloud=login, clouds_yaml=str(given.get("clouds_yaml", "")), **kept))
    try:
        yield opened
    finally:
        opened.close()


@app.command()
def nova(
    db: Annotated[str, typer.Option("--db", metavar="URL", help="The database of a cell, as SQLAlchemy names it.")],
    cloud: CloudName,
    dry_run: DryRun = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Take over Nova's own EC2 ids, such as i-0000002a: those of its EC2 API of old, which guests still read.

    Ids of instances, and of volumes that are attached to them, go on to name what they named. Each project becomes an
    account, if it is none yet. Nova's database and OpenStack stay as they are; running it again takes over what is
    new. Ids of images, snapshots and unattached volumes are not taken over: Nova does not know whose they are.

    Example: isthmus import nova --cloud private --db mysql+pymysql://nova:secret@db/nova --dry-run
    """
    _take_over(db, cloud, _of_nova, dry_run, config_file, state)


def _take_over(
    db: str, cloud: str, read: Callable[[Connection], Old], dry_run: bool, config_file: ConfigFile, state: State
) -> None:
    settings = common.settings(config_file, state)
    if cloud not in settings.clouds:
        raise Failure(f"There is no cloud {cloud}.{nearest(cloud, settings.clouds)}")
    with _connected(db) as connection:
        old = read(connection)
    left = Counter(known.rpartition("-")[0] for known in old.nameless)
    left.update(item.prefix for item in old.items if item.prefix not in TAKEN)
    wanted = [item for item in old.items if item.prefix in TAKEN]
    named: Counter[str] = Counter(item.prefix for item in wanted)
    named.update(item.prefix for item in old.public)
    named.update(known.rpartition("-")[0] for plan in old.plans.values() for known in plan.records)
    done = named
    if not dry_run:
        projects: dict[str, list[Item]] = {project: [] for project in old.plans}
        public = {item.id for item in old.public}
        projects |= {project: [] for project, known in old.tags if project and known in public}
        for item in wanted:
            projects.setdefault(item.project, []).append(item)
        with common.store(settings) as store:
            done = sum((_take(store, cloud, *one, old) for one in projects.items()), Counter())
            done.update(_let_all_know(store, cloud, old.public))
    for tag in (tag for plan in old.plans.values() for tag in plan.tags if dry_run):
        typer.echo(f"Would tag {tag}")
    table = common.table("ID", "WOULD BE TAKEN OVER" if dry_run else "TAKEN OVER", "LEFT", "OF")
    for prefix in sorted({*named, *left}):
        total = left[prefix] + named[prefix]
        table.add_row(f"{prefix}-", str(done[prefix]), str(total - done[prefix]), str(total))
    common.show(table)
    for plan in old.plans.values():
        for known, reason in sorted(plan.left.items()):
            typer.echo(f"Left: {known}: {reason}.", err=True)


@contextmanager
def _connected(url: str, option: str = "--db") -> Iterator[Connection]:
    """Another gateway's database, to be read. Raises Failure if it cannot be."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError):
        raise Failure(
            f"{option} is no URL of a database that SQLAlchemy knows, like mysql+pymysql://user@host/ec2api."
        ) from None
    except ModuleNotFoundError as missing:
        raise Failure(f"The database's driver is missing: pip install {missing.name}") from None
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        raise Failure(f"The database cannot be read: {error.orig}") from None
    finally:
        engine.dispose()


def _of_ec2_api(
    connection: Connection,
    source: ec2api_vpcs.Source,
    tag: Callable[[Tagging], None] = lambda _: None,
) -> Old:
    """By ec2-api's tables."""
    from sqlalchemy import column, select, table

    from isthmus.cli import ec2api_vpcs

    names: list[Any] = [column(name) for name in ("id", "project_id", "os_id", "vpc_id", "data")]
    rows = connection.execute(select(*names).select_from(table("items", *names)).order_by(names[0])).all()
    projects: dict[str, list[ec2api_vpcs.Row]] = {}
    for known, of, native, vpc, data in rows:
        if of:
            row = ec2api_vpcs.Row(known, vpc or "", native or "", json.loads(data or "{}"))
            projects.setdefault(of, []).append(row)
    placed = {of: source.placed(of, there) for of, there in projects.items()}
    vpcs = {vpc: one.network for there in placed.values() for vpc, one in there.items()}
    items = [
        Item(known, of, vpcs.get(known, "") if known.startswith("vpc-") else native) for known, of, native, *_ in rows
    ]
    plans = {of: ec2api_vpcs.plan(there, placed[of], source.why) for of, there in projects.items()}
    public = [one for one in items if not one.project and one.native and one.prefix in PUBLIC]
    told = {known for plan in plans.values() for known in plan.records} | {one.id for one in public}
    nameless = [one.id for one in items if not all(one) and one.id not in told]
    return Old([one for one in items if all(one)], _tags(connection), nameless, plans, public, tag)


def _tags(connection: Connection) -> Mapping[tuple[str, str], dict[str, str]]:
    from sqlalchemy import column, select, table

    labels: list[Any] = [column(name) for name in ("project_id", "item_id", "key", "value")]
    tags: dict[tuple[str, str], dict[str, str]] = {}
    for of, item, key, value in connection.execute(select(*labels).select_from(table("tags", *labels))):
        tags.setdefault((of, item), {})[key] = value or ""
    return tags


def _networks(url: str) -> Mapping[str, tuple[str, str]]:
    """The network and the range of each subnet, by Neutron's database."""
    from sqlalchemy import column, select, table

    names: list[Any] = [column(name) for name in ("id", "network_id", "cidr")]
    with _connected(url, "--neutron-db") as connection:
        rows = connection.execute(select(*names).select_from(table("subnets", *names))).all()
    return {row[0]: (row[1], row[2]) for row in rows}


def _of_nova(connection: Connection) -> Old:
    """By Nova's tables as its models have them from Essex to today: a number for each uuid, shown in hexadecimal."""
    from sqlalchemy import column, select, table

    def of(name: str, *columns: str) -> Any:
        return table(name, *(column(one) for one in columns))

    servers, disks = (
        of("instances", "uuid", "project_id", "deleted"),
        of("block_device_mapping", "instance_uuid", "volume_id", "deleted"),
    )
    numbers, volumes = of("instance_id_mappings", "id", "uuid"), of("volume_id_mappings", "id", "uuid")
    images, snapshots = of("s3_images", "id"), of("snapshot_id_mappings", "id")

    living = servers.join(numbers, numbers.c.uuid == servers.c.uuid)
    named = select(numbers.c.id, servers.c.project_id, servers.c.uuid).select_from(living)
    attached = disks.join(volumes, volumes.c.uuid == disks.c.volume_id)
    attached = attached.join(servers, servers.c.uuid == disks.c.instance_uuid)
    held = select(volumes.c.id, servers.c.project_id, volumes.c.uuid).select_from(attached)
    here = [servers.c.deleted == 0, disks.c.deleted == 0]
    items = [
        Item(f"i-{row[0]:08x}", *row[1:]) for row in connection.execute(named.where(here[0]).order_by(numbers.c.id))
    ]
    found = connection.execute(held.where(*here).order_by(volumes.c.id).distinct()).all()
    items += [Item(f"vol-{row[0]:08x}", *row[1:]) for row in found]
    loose = set(connection.execute(select(volumes.c.id)).scalars()) - {row[0] for row in found}
    others: dict[str, Iterable[int]] = {"vol": loose}
    others["ami"] = connection.execute(select(images.c.id)).scalars()
    others["snap"] = connection.execute(select(snapshots.c.id)).scalars()
    return Old(items, nameless=[f"{prefix}-{one:08x}" for prefix, numbers in others.items() for one in numbers])


def _let_all_know(store: Store, cloud: str, images: Sequence[Item]) -> Iterator[str]:
    """Write down the ids of public images; the prefixes of those that are known by them. Their tags are there then."""
    now = datetime.now(UTC)
    for item in images:
        if store.let_all_know(item.id, TAKEN[item.prefix], cloud, item.native, now):
            yield item.prefix


def _is_new(view: View, cloud: str, image: Item) -> bool:
    """Whether a public image is known by no id of another gateway's yet."""
    where = (cloud, TAKEN[image.prefix], image.native)
    return view.by_native(*where) is None and not view.common_id(*where)


def _take(store: Store, cloud: str, project: str, items: Sequence[Item], old: Old) -> Counter[str]:
    """Write down the ids of one project. One that is known by another id here keeps it."""
    from isthmus.cli import ec2api_vpcs
    from isthmus.store import Record

    account = store.account_for(cloud, project, project)
    if not account:
        raise Failure(f"The project {project} is no account any more: isthmus account tenant says whose it is.")
    now, done, new = datetime.now(UTC), Counter[str](), list[str]()
    plan = old.plans.get(project, ec2api_vpcs.Plan())
    for tag in plan.tags:
        old.tag(tag)
        typer.echo(f"Tagged {tag}")
    elsewhere = {one for one in plan.records if (found := store.find(one)) and found.account != account}
    with store.change(account) as change:
        for item in items:
            kind = TAKEN[item.prefix]
            known = change.view.by_native(cloud, kind, item.native)
            if known is None and store.find(item.id) is None:
                change.put(Record(item.id, account, kind, cloud, item.native, {}, now, None))
                new.append(item.id)
            elif known is None or known.id != item.id:
                continue
            done[item.prefix] += 1
        there = change.view.records
        for recorded in ec2api_vpcs.write(change, account, plan, now, [*new], elsewhere):
            done[recorded.rpartition("-")[0]] += 1
            new += [recorded] if recorded not in there else []
        for one in [*new, *(item.id for item in old.public if _is_new(change.view, cloud, item))]:
            if labels := old.tags.get((project, one)):
                change.tag([one], dict(list(labels.items())[:_MOST_TAGS]))
    return done
