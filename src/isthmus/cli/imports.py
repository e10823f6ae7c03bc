"""`isthmus import`: take over the ids that another gateway gave out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from isthmus.cli import common
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.options import nearest

if TYPE_CHECKING:
    from isthmus.store import Store

app = typer.Typer(help="Take over the ids that another gateway gave out.", no_args_is_help=True)

TAKEN = {
    "i": "server",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "aki": "kernel",
    "ari": "ramdisk",
    "eni": "port",
    "subnet": "subnet",
    "sg": "firewall",
    "eipalloc": "address",
}
"""The prefixes of ec2-api's ids of things that OpenStack has under one id of its own, with our kinds."""
_MOST_TAGS = 50


class Item(NamedTuple):
    """A row of ec2-api's table `items`."""

    id: str
    project: str
    native: str

    @property
    def prefix(self) -> str:
        return self.id.rpartition("-")[0]


@app.command("ec2-api")
def ec2_api(
    db: Annotated[str, typer.Option("--db", metavar="URL", help="ec2-api's database, as SQLAlchemy names it.")],
    cloud: Annotated[str, typer.Option("--cloud", help="The OpenStack's name in the configuration.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken over.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Take over the ids and tags that OpenStack's ec2-api gave out, so that Terraform's states and scripts stay good.

    Ids of instances, volumes, snapshots, images, network interfaces, subnets, security groups and elastic IPs go on to
    name what they named. Each project becomes an account, if it is none yet. ec2-api's database and OpenStack stay as
    they are; running it again takes over what is new. Ids of what only ec2-api knew (VPCs, route tables, gateways) are
    not taken over: import these anew in Terraform.

    Example: isthmus import ec2-api --cloud private --db mysql+pymysql://ec2api:secret@db/ec2api --dry-run
    """
    settings = common.settings(config_file, state)
    if cloud not in settings.clouds:
        raise Failure(f"There is no cloud {cloud}.{nearest(cloud, settings.clouds)}")
    items, tags, others = _read(db)
    left = Counter(known.rpartition("-")[0] for known in others)
    left.update(item.prefix for item in items if item.prefix not in TAKEN)
    wanted = [item for item in items if item.prefix in TAKEN]
    named: Counter[str] = Counter(item.prefix for item in wanted)
    done = named
    if not dry_run:
        projects: dict[str, list[Item]] = {}
        for item in wanted:
            projects.setdefault(item.project, []).append(item)
        with common.store(settings) as store:
            done = sum((_take(store, cloud, *one, tags) for one in projects.items()), Counter())
    table = common.table("ID", "WOULD BE TAKEN OVER" if dry_run else "TAKEN OVER", "LEFT", "OF")
    for prefix in sorted({*named, *left}):
        total = left[prefix] + named[prefix]
        table.add_row(f"{prefix}-", str(done[prefix]), str(total - done[prefix]), str(total))
    common.show(table)


def _read(url: str) -> tuple[Sequence[Item], Mapping[tuple[str, str], dict[str, str]], Sequence[str]]:
    """What names a thing of OpenStack's, the tags by project and id, and what names nothing. Raises Failure."""
    from sqlalchemy import column, create_engine, select, table
    from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

    names: list[Any] = [column(name) for name in ("id", "project_id", "os_id")]
    items = select(*names).select_from(table("items", *names)).order_by(names[0])
    labels: list[Any] = [column(name) for name in ("project_id", "item_id", "key", "value")]
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError):
        raise Failure(
            "--db is no URL of a database that SQLAlchemy knows, like mysql+pymysql://user@host/ec2api."
        ) from None
    except ModuleNotFoundError as missing:
        raise Failure(f"The database's driver is missing: pip install {missing.name}") from None
    try:
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(items)]
            tags: dict[tuple[str, str], dict[str, str]] = {}
            for of, item, key, value in connection.execute(select(*labels).select_from(table("tags", *labels))):
                tags.setdefault((of, item), {})[key] = value or ""
    except DBAPIError as error:
        raise Failure(f"The database of ec2-api cannot be read: {error.orig}") from None
    finally:
        engine.dispose()
    return [Item(*row) for row in rows if all(row)], tags, [row[0] for row in rows if not all(row)]


def _take(
    store: Store, cloud: str, project: str, items: Sequence[Item], tags: Mapping[tuple[str, str], dict[str, str]]
) -> Counter[str]:
    """Write down the ids of one project. One that is known by another id here keeps it."""
    from isthmus.store import Record

    account = store.account_for(cloud, project, project)
    now, done = datetime.now(UTC), Counter[str]()
    with store.change(account) as change:
        for item in items:
            kind = TAKEN[item.prefix]
            known = change.view.by_native(cloud, kind, item.native)
            if known is None and item.id not in change.view.records:
                change.put(Record(item.id, account, kind, cloud, item.native, {}, now, None))
                if labels := tags.get((project, item.id)):
                    change.tag([item.id], dict(list(labels.items())[:_MOST_TAGS]))
            elif known is None or known.id != item.id:
                continue
            done[item.prefix] += 1
    return done
