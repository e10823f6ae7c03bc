"""The AWS command line (version 1) as a user runs it: unmodified, in a process of its own, with its own files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from served import Account, clean_environment

Aws = Callable[..., Any]


class CliError(Exception):
    """What the command line said when it failed."""


def program() -> str:
    """The `aws` of this environment, else the one on PATH."""
    beside = Path(sys.executable).with_name("aws")
    found = str(beside) if beside.exists() else shutil.which("aws")
    if not found:
        pytest.skip("the AWS command line is not installed: pip install awscli")
    return found


def runner(account: Account, place: Path) -> Aws:
    """Runs `aws WORDS...` and answers its JSON (or its text, where that is none). Its files are in `place`."""
    files = {"AWS_CONFIG_FILE": place / "config", "AWS_SHARED_CREDENTIALS_FILE": place / "credentials"}
    files["AWS_CONFIG_FILE"].write_text("[default]\nregion = us-east-1\noutput = json\nretries = 1\n")
    files["AWS_SHARED_CREDENTIALS_FILE"].write_text(
        f"[default]\naws_access_key_id = {account.access_key}\naws_secret_access_key = {account.secret}\n"
    )
    named = {name: str(path) for name, path in files.items()}
    environ = clean_environment(AWS_ENDPOINT_URL=account.endpoint, AWS_PAGER="", **named)
    command = [program()]

    def run(*words: str) -> Any:
        done = subprocess.run([*command, *words], env=environ, cwd=place, capture_output=True, text=True, timeout=90)
        if done.returncode:
            raise CliError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else done.stdout

    return run
