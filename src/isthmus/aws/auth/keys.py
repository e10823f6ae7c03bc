"""SigV4's derived keys: four HMACs each, good for a day, so the last ones are kept."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from threading import Lock

_MOST = 1024
_Name = tuple[bytes, str, str, str]

_kept: OrderedDict[_Name, bytes] = OrderedDict()
_lock = Lock()


def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs a request of this scope. The secret itself is not kept."""
    packed = secret.encode("utf-8", "surrogatepass")
    name = (hashlib.sha256(packed).digest(), date, region, service)
    with _lock:
        known = _kept.get(name)
        if known is not None:
            _kept.move_to_end(name)
            return known
    key = b"AWS4" + packed
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("utf-8", "surrogatepass"), "sha256")
    with _lock:
        _kept[name] = key
        if len(_kept) > _MOST:
            _kept.popitem(last=False)
    return key
