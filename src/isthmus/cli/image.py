import typer

app = typer.Typer()
HELP = ""


def coverage() -> None: ...
