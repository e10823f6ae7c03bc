"""Fetches a large file, with a progress bar."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.cli.common import Failure

if TYPE_CHECKING:
    from rich.progress import Progress

_CHUNK = 1 << 20
_SECONDS = 30.0
"""How long the other side may keep silent."""
_REDIRECTS = 5


def is_url(word: str) -> bool:
    return word.startswith(("http://", "https://"))


def fetch(url: str, target: Path, most: int, sha256: str) -> None:
    """Download to a new file. Raises Failure, and leaves no file, if it is larger than `most` bytes or not as said."""
    import httpx

    digest = hashlib.sha256()
    try:
        with (
            httpx.Client(timeout=_SECONDS, follow_redirects=True, max_redirects=_REDIRECTS) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
            target.open("xb") as file,
        ):
            if answer.status_code != 200:
                raise Failure(f"{answer.url.host} answered {answer.status_code} {answer.reason_phrase}.")
            for chunk in _watched(answer, most):
                digest.update(chunk)
                file.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        target.unlink(missing_ok=True)
        raise Failure(f"The download failed: {str(error) or type(error).__name__}.") from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    if sha256 and digest.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        raise Failure(f"The file has the SHA-256 {digest.hexdigest()}, not the one given.")


def _watched(answer: object, most: int) -> Iterator[bytes]:
    import httpx

    assert isinstance(answer, httpx.Response)  # noqa: S101
    said = answer.headers.get("content-length", "")
    total = int(said) if said.isdigit() else None
    if total is not None and total > most:
        raise Failure(_too_large(most))
    taken = 0
    with progress() as shown:
        task = shown.add_task("downloading", total=total)
        for chunk in answer.iter_raw(_CHUNK):
            taken += len(chunk)
            if taken > most:
                raise Failure(_too_large(most))
            yield chunk
            shown.update(task, completed=taken)


def _too_large(most: int) -> str:
    return f"The file is larger than {most / (1 << 30):g} GiB; --max-size allows more."


@contextmanager
def progress() -> Iterator[Progress]:
    """A bar on standard error, for whoever watches a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as shown:
        yield shown


def check_sum(path: Path, sha256: str) -> None:
    """Raises Failure if a file is not the one that was meant."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise Failure(f"The file has the SHA-256 {found}, not the one given.")
