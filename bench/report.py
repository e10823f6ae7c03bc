"""The figures as a table for the terminal, as JSON, and as a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Figure, Report

_SERVERS = ("isthmus", "moto", "bare")
_PAGE = """# How fast it is

Measured by `make bench`, all in one run on one machine. `python -m bench --write` makes this page.

{machine}

{table}

{notes}

## How it is measured

- Isthmus is one process over the cloud `memory`, started by `isthmus serve`, with its log on and every signature
  checked. moto is `moto_server` as pip installs it. *bare* is uvicorn with the same event loop and parser, whose
  application reads the request and sends the very bytes that Isthmus sent.
- Requests are signed beforehand and sent over plain sockets; answers are read to their end and not parsed.
  Times are of one request after the other on one connection; rates are of {connections} connections that each wait
  for one answer.
- The servers take turns, {rounds} rounds; a figure is the median of its rounds. The client runs on the same machine.
- The memory cloud does no work of its own, as moto does none: these are the costs of the API, not of a cloud.

## What bounds it

- A small read takes the process about 110 microseconds of processor time, where the bare server takes 21. Reading the
  request, the log line and the metrics add 15, the change of threads 10, and the front 65: half of that is parsing the
  signature and checking it, the rest is decoding, dispatch and encoding.
- A listing sends what it rendered before for what has not changed; of the milliseconds for 1,000 instances about half
  go into finding out that nothing changed, the rest into 3.8 MB on their way through the socket. The first listing of
  instances renders each of them.
- A launch under TCG is bounded by the emulated boot of the guest: it takes longer where other programs keep the
  processor busy.
"""


def show(report: Report, console: Console, servers: Sequence[str] = _SERVERS) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in _columns(servers):
        table.add_column(column, justify="left" if column in ("", "aim", "found", "unit") else "right")
    for row in _rows(report, servers):
        table.add_row(*row)
    console.print(table)
    for line in _notes(report):
        console.print(f"- {line}", markup=False)


def as_json(report: Report) -> str:
    figures = [
        {
            "name": one.name,
            "unit": one.unit,
            "median": {server: one[server] for server in one.rounds if one.has(server)},
            "rounds": {server: list(found) for server, found in one.rounds.items()},
            "aims": [_aim(one, number) for number in range(len(one.aims))],
            "note": one.note,
        }
        for one in report.figures
    ]
    whole = {"machine": report.machine, "quick": report.quick, "figures": figures, "left_out": report.left_out}
    return json.dumps(whole, indent=2) + "\n"


def as_page(report: Report, rounds: int, connections: int) -> str:
    return _PAGE.format(
        machine=_machine(report.machine),
        table=table(report),
        notes=notes(report),
        rounds=rounds,
        connections=connections,
    )


def table(report: Report, servers: Sequence[str] = _SERVERS) -> str:
    """In Markdown."""
    head = f"|{'|'.join(_columns(servers))}|\n|---|---|{'---:|' * len(servers)}---|---|"
    return "\n".join([head, *(f"|{'|'.join(row)}|" for row in _rows(report, servers))])


def notes(report: Report) -> str:
    return "\n".join(f"- {line}" for line in _notes(report))


def _columns(servers: Sequence[str]) -> tuple[str, ...]:
    return ("", "unit", *servers, "aim", "found")


def _machine(known: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in known.items())


def _aim(figure: Figure, number: int) -> Mapping[str, Any]:
    aim = figure.aims[number]
    found = aim.of(figure)
    return {"words": aim.words, "found": found, "reached": aim.reached(found)}


def _rows(report: Report, servers: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A row for each figure; further aims of it in rows of their own."""
    for figure in report.figures:
        values = [_number(figure[server]) if figure.has(server) else "" for server in servers]
        first: tuple[str, ...] = (figure.name, figure.unit, *values)
        for aim in figure.aims:
            found = aim.of(figure)
            yield (*first, aim.words, aim.shown.format(found) + ("" if aim.reached(found) else " - missed"))
            first = ("",) * len(first)
        if not figure.aims:
            yield (*first, "", "")


def _notes(report: Report) -> Iterator[str]:
    for figure in report.figures:
        if figure.note:
            yield f"{figure.name}: {figure.note}"
    for name, reason in report.left_out.items():
        yield f"not measured: {name}: {reason}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
