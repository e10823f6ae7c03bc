"""Terraform with the AWS provider 5.x, unmodified, in a directory of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
from served import Account, clean_environment

SETS = Path(__file__).parent / "clients" / "terraform"
_PLACES = (Path("/opt"), Path("/usr/local"), Path("~/.terraform.d").expanduser())
_PROVIDER = "*/hashicorp/aws/5.*/*/terraform-provider-aws_v5*"
_STEP_SECONDS = 600

Terraform = Callable[..., str]


def mirror() -> Path:
    """The directory under which the AWS provider lies; the test is skipped where there is none."""
    if given := os.environ.get("TF_PLUGIN_MIRROR"):
        return Path(given)
    for place in _PLACES:
        for depth in ("", "*/", "*/*/", "*/*/*/"):
            if found := sorted(place.glob(depth + _PROVIDER)):
                return found[-1].parents[5]
    pytest.skip("Terraform's AWS provider 5.x is not on this machine: name its mirror in TF_PLUGIN_MIRROR")


def runner(account: Account, place: Path, name: str, change: Callable[[str], str] = str) -> Terraform:
    """Runs `terraform WORDS...` on a set, `change`d, and answers what it said. Its files are in `place`."""
    program = shutil.which("terraform")
    if not program:
        pytest.skip("terraform is not on PATH")
    providers = mirror()
    environ = clean_environment(
        AWS_ACCESS_KEY_ID=account.access_key,
        AWS_SECRET_ACCESS_KEY=account.secret,
        AWS_CONFIG_FILE=str(place / "no-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(place / "no-credentials"),
        TF_IN_AUTOMATION="1",
        TF_INPUT="0",
        CHECKPOINT_DISABLE="1",
        TF_CLI_CONFIG_FILE=os.devnull,
        TF_VAR_endpoint=account.endpoint,
    )

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words], cwd=place, env=environ, capture_output=True, text=True, timeout=_STEP_SECONDS
        )
        assert 0 == done.returncode, f"terraform {words[0]} ended with {done.returncode}: {_reason(done)}"
        return done.stdout

    shutil.copy(SETS / "provider.tf", place)
    (place / "main.tf").write_text(change((SETS / name / "main.tf").read_text()))
    run("init", "-no-color", f"-plugin-dir={providers}")
    return run


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What it says of its errors; of a plan that is not empty, what is to be changed."""
    return done.stderr.strip() or done.stdout.partition("will perform the following actions:")[2]


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A set with the names that a cloud has of what it names, from whomever it is."""
    for theirs, ours in names.items():
        text = text.replace(f'"{theirs}"', f'"{ours}"')
    return text.replace('  owners      = ["amazon"]\n', "")


def without(text: str, blocks: Iterable[str]) -> str:
    """A set without the resources and data of these kinds, and without these outputs."""
    for block in blocks:
        text, count = re.subn(rf'^(resource|data|output) "{block}" .*?^}}\n', "", text, flags=re.DOTALL | re.MULTILINE)
        assert count, f"there is no {block} in this set"
    return text


def apply(terraform: Terraform, *words: str) -> None:
    terraform("apply", "-auto-approve", "-no-color", *words)


def plan_is_empty(terraform: Terraform, *words: str) -> None:
    terraform("plan", "-detailed-exitcode", "-no-color", *words)


def destroy(terraform: Terraform, *words: str) -> None:
    terraform("destroy", "-auto-approve", "-no-color", *words)
