"""`isthmus coverage`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli import common
from isthmus.cli.common import ConfigFile, State

if TYPE_CHECKING:
    from isthmus.aws.coverage import Coverage, Served

HELP = """Tell which EC2 actions are served, and which are not and why.

[bold]Examples[/bold]

  isthmus coverage

  isthmus coverage --markdown > coverage.md

  isthmus coverage --json | jq '.actions[] | select(.served | not) | .action'"""


def coverage(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The served ones, as a page.")] = False,
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    from isthmus.aws.coverage import coverage as covered

    settings = common.settings(config_file, state)
    with common.gateway(settings) as gateway:
        found = list(covered(gateway.world.clouds, settings.operator))
    if as_json:
        typer.echo(json.dumps(_document(found), indent=1))
    elif as_markdown:
        typer.echo("\n".join(page(found, list(settings.clouds))))
    else:
        _table(found, list(settings.clouds))


def _document(found: Sequence[Coverage]) -> dict[str, object]:
    served = sum(one.here.served for one in found)
    actions = [
        {
            "action": one.action,
            "served": one.here.served,
            "reason": one.here.reason,
            "clouds": {name: {"served": on.served, "reason": on.reason} for name, on in one.clouds.items()},
        }
        for one in found
    ]
    return {"service": "ec2", "counts": {"served": served, "unsupported": len(found) - served}, "actions": actions}


def _table(found: Sequence[Coverage], clouds: Sequence[str]) -> None:
    table = common.table("ACTION", "SERVED", *clouds, "REASON")
    for one in found:
        reasons = dict.fromkeys(on.reason for on in one.clouds.values() if on.reason)
        on = [_word(served) for served in one.clouds.values()]
        table.add_row(one.action, _word(one.here), *on, one.here.reason or " ".join(reasons))
    common.show(table)
    typer.echo(f"{sum(one.here.served for one in found)} of {len(found)} actions are served.")


def page(found: Sequence[Coverage], clouds: Sequence[str]) -> Iterator[str]:
    """The served actions as a page of the documentation, line by line."""
    served = [one for one in found if one.here.served]
    yield "# Which actions are served"
    yield ""
    yield f"{len(served)} of the {len(found)} EC2 actions of botocore's model. The others: `UnsupportedOperation`, 400."
    yield "`isthmus coverage` tells the same of your configuration, with the reasons."
    yield ""
    yield f"| action | {' | '.join(clouds)} |"
    yield "|---" * (len(clouds) + 1) + "|"
    for one in served:
        yield f"| {one.action} | {' | '.join(_word(one.clouds[name]) for name in clouds)} |"


def _word(one: Served) -> str:
    if not one.served:
        return "no"
    return "in part" if one.reason else "yes"
