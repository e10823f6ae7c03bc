"""What only the attachments of volumes tell goes into the volumes' own metadata.

Nova makes the volumes of a launch without metadata of ours, and tells the tags of their devices for one server at a
time. So whoever sees such a volume first has it written down, and nobody asks again, another process neither.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from isthmus.errors import Fault
from isthmus.providers.openstack import disks
from isthmus.providers.openstack.client import Client, Item

AT_ONCE = 4
_log = logging.getLogger(__name__)


class Noting:
    """The writing, for all tenants of a cloud. What fails is begun again by who lists the volume later."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="noting")
        self._lock = threading.Lock()
        self._at_work: set[str] = set()

    def begin(self, client: Client, volume: str, link: Item, said: Mapping[str, str]) -> None:
        """Write what is `said` of a volume's attachment, if it is still so by then."""
        with self._lock:
            if volume in self._at_work:
                return
            self._at_work.add(volume)
        fresh = client.once()

        def work() -> None:
            try:
                _note(fresh, volume, link, said)
            except Fault as fault:
                _log.warning("the device of the volume %s is written down later: %s", volume, fault)
            finally:
                with self._lock:
                    self._at_work.discard(volume)

        self._pool.submit(work)

    def close(self) -> None:
        """What was not begun is for those who list volumes later."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _note(client: Client, volume: str, link: Item, said: Mapping[str, str]) -> None:
    """Nothing is written over the note of a later place: who attaches a volume writes it first."""
    item = client.get("block-storage", f"/volumes/{volume}", "volume", volume)["volume"]
    place = disks.place_of(item)
    there = link["attachment_id"] in {one["attachment_id"] for one in item["attachments"]}
    if there and not (place and place.server == link["server_id"]):
        disks.write(client, volume, dict(said))
