"""Isthmus, which notes in a file what it asks of CloudStack: a JSON object in a line for each call, once it has ended.

python -m bench.cloudstack.traced FILE serve ...
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from isthmus.__main__ import main
from isthmus.providers.cloudstack.client import Wire


def trace(file: Path) -> None:
    """Have each call noted, with its begin and end in seconds of the monotonic clock."""
    lines = file.open("a", buffering=1)
    post = Wire.post

    @wraps(post)
    def noted(wire: Wire, keys: Any, params: Mapping[str, str]) -> Any:
        begun = time.monotonic()
        answer = post(wire, keys, params)
        call = {"params": dict(params), "begun": begun, "ended": time.monotonic()}
        lines.write(json.dumps(call) + "\n")
        return answer

    Wire.post = noted


if __name__ == "__main__":
    trace(Path(sys.argv.pop(1)))
    main()
