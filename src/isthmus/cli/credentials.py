"""`isthmus credentials`: the access keys of accounts."""

from __future__ import annotations

from typing import Annotated

import typer

from isthmus.cli import cloudstack, common, formats, registration
from isthmus.cli.common import ConfigFile, Failure, State
from isthmus.options import nearest

app = typer.Typer(help="Access keys: made here, or brought along from another cloud.", no_args_is_help=True)

Account = Annotated[
    str, typer.Option("--account", "-a", metavar="NAME", help="An account's name or number; by default `default`.")
]
Profile = Annotated[str, typer.Option(metavar="NAME", help="The profile in the format aws.")]
_FORMATS = "|".join(formats.FORMATS)


@app.command("create")
def create(
    account: Account = "",
    form: Annotated[str, typer.Option("--format", "-f", metavar=_FORMATS, help="How to write it.")] = "env",
    profile: Profile = "default",
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Make an access key, and write it to standard output: its secret is shown this once only.

    Examples:

      eval "$(isthmus credentials create)"

      isthmus credentials create --account team-blue --format aws --profile blue >> ~/.aws/credentials
    """
    _check(form)
    settings = common.settings(config_file, state)
    from isthmus.serving.welcome import endpoint_of

    with common.store(settings) as store:
        made = store.create_credential(common.find_account(store, account).id)
    pair = formats.Pair(made.access_key, made.secret)
    typer.echo(formats.write(pair, form, profile, settings.region, endpoint_of(settings)), nl=False)


@app.command("list")
def show(
    account: Annotated[str, typer.Option("--account", "-a", metavar="NAME", help="Only this account's.")] = "",
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """List the access keys, without their secrets."""
    with common.store(common.settings(config_file, state)) as store:
        only = common.find_account(store, account).id if account else None
        names = {one.id: one.name for one in store.accounts()}
        table = common.table("ACCESS KEY", "ACCOUNT", "NAME", "CREATED")
        for one in store.credentials(only):
            table.add_row(one.access_key, one.account, names.get(one.account, ""), f"{one.created:%Y-%m-%d %H:%M}")
    common.show(table)


@app.command("revoke")
def revoke(
    access_key: Annotated[str, typer.Argument(metavar="KEY", help="The access key, as the list shows it.")],
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Make an access key invalid, for good; a running service follows within a second."""
    with common.store(common.settings(config_file, state)) as store:
        if not store.revoke(access_key):
            raise Failure(f"There is no access key {access_key}.")
    typer.echo(f"The access key {access_key} is revoked.")


@app.command("import")
def bring(
    file: Annotated[str, typer.Argument(metavar="[FILE|-]", help="Where to read; - is standard input.")] = "-",
    form: Annotated[str, typer.Option("--format", "-f", metavar=_FORMATS, help="By default what it looks like.")] = "",
    account: Account = "",
    profile: Profile = "default",
    cloud: Annotated[
        str, typer.Option("--cloud", metavar="NAME", help="A CloudStack in the settings that gave out the key.")
    ] = "",
    config_file: ConfigFile = None,
    state: State = None,
) -> None:
    """Take over an access key and its secret, so that clients need not be changed.

    With --cloud it is a user's API key and secret key of that CloudStack. They are tried there, and the user's account
    becomes an account here, if it is none yet; with --account they may be a project's that isthmus account tenant has
    named. What is asked for with the key is done with it in CloudStack.

    Examples:

      isthmus credentials import ~/.aws/credentials --profile work

      openstack ec2 credentials create -f json | isthmus credentials import --format json

      isthmus credentials import ./ec2rc.sh --account team-blue

      cmk get userkeys id="$USER_ID" | isthmus credentials import --cloud cloudstack --config isthmus.toml
    """
    if form:
        _check(form)
    text = common.text_of(file)
    pair = formats.read(text, form or formats.guess(text), profile)
    settings = common.settings(config_file, state)
    if cloud and cloud not in settings.clouds:
        raise Failure(f"There is no cloud {cloud}.{nearest(cloud, settings.clouds)}")
    with common.store(settings) as store:
        if cloud:
            known = common.find_account(store, account) if account else None
            owner = cloudstack.register(settings, store, cloud, pair, known)
        else:
            owner = common.find_account(store, account)
            store.import_credential(owner.id, pair.access_key, pair.secret)
    typer.echo(f"The access key {pair.access_key} belongs to the account {owner.name} ({owner.id}) now.")


app.command("register")(registration.register)


def _check(form: str) -> None:
    if form not in formats.FORMATS:
        raise Failure(f"There is no format {form!r}: choose one of {', '.join(formats.FORMATS)}.")
