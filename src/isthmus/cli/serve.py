"""`isthmus serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus import config
from isthmus.cli.common import ConfigFile, State, flags
from isthmus.serving import observe

HELP = """Serve the EC2 API. Stops gracefully on Ctrl-C and SIGTERM.

[bold]Examples[/bold]

  isthmus serve                                  a small real cloud of QEMU machines on this host

  isthmus serve --cloud memory                   simulated machines: nothing is installed, nothing is kept

  isthmus serve --listen 0.0.0.0:8788 -c my.toml

The first start makes an account with an access key, and tells how to use it."""


def serve(
    config_file: ConfigFile = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Default 127.0.0.1:8788. Port 0 takes any free one.")
    ] = None,
    state: State = None,
    cloud: Annotated[
        str | None, typer.Option(metavar="local|memory", help="An embedded cloud, in place of the configured ones.")
    ] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that share the work. Default 1.")] = None,
    region: Annotated[str | None, typer.Option(metavar="NAME", help="Default us-east-1.")] = None,
) -> None:
    given = flags(listen=listen, state=state, cloud=cloud, workers=workers, region=region)
    merged = config.merge(config_file, given)
    settings = config.build(merged)

    from isthmus.serving import sockets, welcome

    welcome.prepare(settings)
    bound = sockets.bind(settings.listen)

    def ready(first: bool) -> None:
        if first:
            observe.say(f"A first account was made; its key is in {welcome.Profile.of(settings).credentials}")
        observe.say(welcome.greeting(settings, sockets.address_of(bound, settings.listen)))

    if settings.workers > 1:
        from isthmus.serving.supervise import Supervisor

        observe.set_up_log(settings.log.level)
        raise typer.Exit(Supervisor(settings, merged, bound, ready).run())

    from isthmus.serving.process import run

    raise typer.Exit(run(settings, bound, ready))
