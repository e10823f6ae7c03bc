"""fog-aws, the Ruby library beneath Vagrant's and Chef's plugins, unmodified."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from served import Account, clean_environment, tiny_image

pytestmark = pytest.mark.clients

LIFE = Path(__file__).with_name("fog") / "life.rb"


@pytest.fixture(scope="module")
def ruby() -> str:
    """A Ruby that has fog-aws; the test is skipped where there is none."""
    program = shutil.which("ruby")
    if not program:
        pytest.skip("ruby is not on PATH (apt-get install ruby-fog-aws)")
    if subprocess.run([program, "-e", 'require "fog/aws"'], capture_output=True, timeout=60, check=False).returncode:
        pytest.skip("Ruby's gem fog-aws is not installed (apt-get install ruby-fog-aws)")
    return program


def test_a_whole_life(ruby: str, quick: Account) -> None:
    words = [ruby, str(LIFE), quick.endpoint, quick.access_key, quick.secret, tiny_image(quick)]
    done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, timeout=180, check=False)

    assert "well\n" == done.stdout, done.stderr
