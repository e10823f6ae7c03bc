"""Isthmus, which notes in a file what it asks of OpenStack: a JSON object in a line for each call, once it has ended.

python -m bench.openstack.traced FILE serve ...
"""

from __future__ import annotations

import json
import sys
import time
from functools import wraps
from pathlib import Path
from typing import Any

from keystoneauth1.session import Session

from isthmus.__main__ import main

_KEPT = ("X-OpenStack-Nova-API-Version", "OpenStack-API-Version", "Content-Type", "Accept")


def trace(file: Path) -> None:
    """Have each call noted, with its begin and end in seconds of the monotonic clock."""
    lines = file.open("a", buffering=1)
    send = Session.request

    @wraps(send)
    def noted(session: Session, url: str, method: str, **given: Any) -> Any:
        begun = time.monotonic()
        answer = send(session, url, method, **given)
        asked = answer.request
        call = {
            "method": method,
            "url": asked.url,
            "headers": {name: asked.headers[name] for name in _KEPT if name in asked.headers},
            "body": given.get("json"),
            "begun": begun,
            "ended": time.monotonic(),
        }
        lines.write(json.dumps(call) + "\n")
        return answer

    Session.request = noted


if __name__ == "__main__":
    trace(Path(sys.argv.pop(1)))
    main()
