"""Ansible's playbooks, run on this host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from served import clean_environment

HOME = Path(sys.prefix) / "ansible"
PLAYBOOK = HOME / "bin" / "ansible-playbook"
MISSING = "Ansible is not installed: make clients"


def play(playbook: Path, said: Mapping[str, Any], place: Path, **more: str) -> Mapping[str, int]:
    """Run a playbook; how many of its tasks were what. What it writes for itself is in `place`."""
    environment = clean_environment(
        ANSIBLE_HOME=str(place),
        ANSIBLE_LOCAL_TEMP=str(place / "local"),
        ANSIBLE_STDOUT_CALLBACK="ansible.posix.json",
        ANSIBLE_PYTHON_INTERPRETER=str(HOME / "bin" / "python"),
        ANSIBLE_LOCALHOST_WARNING="false",
        LC_ALL="C.UTF-8",
        **more,
    )
    command = [PLAYBOOK, "-i", "localhost,", "-e", json.dumps(said), playbook]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert found.returncode == 0, f"{_failures(found.stdout)}\n{found.stderr}"
    counts: Mapping[str, int] = json.loads(found.stdout)["stats"]["localhost"]
    return counts


def _failures(output: str) -> str:
    """What went wrong, of a long answer."""
    try:
        tasks = [one for each in json.loads(output)["plays"] for one in each["tasks"]]
    except ValueError:
        return output
    failed = [one for one in tasks if {"failed", "unreachable"} & one["hosts"].get("localhost", {}).keys()]
    return json.dumps(failed, indent=1)[:6000]
