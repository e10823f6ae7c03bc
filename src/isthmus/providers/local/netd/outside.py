"""The edge's namespace and what joins it to the world: slirp4netns, and for routed addresses a link to the host."""

from __future__ import annotations

import logging
import os
import select
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from isthmus.providers.local.netd import edge, names, routes
from isthmus.providers.local.netd.layout import Layout
from isthmus.providers.local.netd.processes import Noted, end
from isthmus.providers.local.netd.spaces import CommandError, Spaces, command
from isthmus.providers.local.process import birth

_log = logging.getLogger(__name__)
SLIRP_SECONDS = 10.0
NO_SLIRP = "slirp4netns is not installed: guests reach nothing outside (Debian: slirp4netns)"


class Outside:
    """Its methods block, and are called by threads, one at a time."""

    def __init__(self, spaces: Spaces, directory: Path) -> None:
        self._spaces = spaces
        self._directory = directory
        self._slirp = Noted(directory / "slirp.pid", directory)
        self._host_link = f"isth{names.short(spaces.prefix)}"
        self._running = (0, 0)
        self.failed = ""
        """Why there is no way out; empty if there is."""

    def own_addresses(self) -> list[str]:
        """All that this host answers at, by its own table of them."""
        said = command(["ip", "-4", "route", "show", "table", "local"])
        words = [line.split() for line in said.splitlines()]
        return sorted({one[1] for one in words if len(one) > 1 and one[0] in ("local", "broadcast", "anycast")})

    def make(self) -> None:
        self._spaces.open(names.EDGE, edge.ruleset([], self.own_addresses()))

    def filter(self, layouts: Sequence[Layout]) -> None:
        self._spaces.filter(names.EDGE, edge.ruleset(layouts, self.own_addresses()))

    def look(self, layouts: Sequence[Layout]) -> None:
        """To be called now and then: follows the host's addresses, and starts slirp4netns if it is gone."""
        self.filter(layouts)
        if not self._slirp.pid():
            self._join(self._spaces.links(names.EDGE))

    def apply(self, layouts: Sequence[Layout], routed: str) -> None:
        """Links to networks are made before."""
        self.filter(layouts)
        if routed:
            self._link_host()
        links = self._spaces.links(names.EDGE)
        wanted = edge.lines(layouts, routed, links)
        listed = self._spaces.ask(names.EDGE, "route", "show", "table", "all", "proto", str(routes.PROTOCOL))
        known = self._spaces.ask(names.EDGE, "rule", "show")
        rule = f"rule add priority {routes.PRIORITY - 10000} fwmark {edge.ANSWERS} lookup {edge.ANSWERS}"
        there = any(int(entry["priority"]) == routes.PRIORITY - 10000 for entry in known)
        self._spaces.ip(
            names.EDGE,
            [*edge.neighbours(layouts, links), *routes.changes(wanted, listed), *([] if there else [rule])],
        )
        if routed:
            self._route_host([one.address for layout in layouts for one in edge.publics(layout)])
        self._join(links)

    # -- slirp4netns -------------------------------------------------------------------------------------------------

    def _join(self, links: dict[str, int]) -> None:
        """See that slirp4netns runs; the one of an earlier life goes on, with its connections."""
        if (pid := self._slirp.pid()) and names.SLIRP in links:
            self._running = (pid, birth(pid))
            self.failed = ""
            return
        self._slirp.end()
        program = shutil.which("slirp4netns")
        self.failed = self._start(program) if program else NO_SLIRP
        if self.failed:
            _log.warning("%s", self.failed)

    def _start(self, program: str) -> str:
        ready, told = os.pipe()
        words = [program, "--configure", f"--mtu={1500}", "--disable-host-loopback", "--disable-dns"]
        words += ["--enable-seccomp"]
        words += [f"--cidr={names.SLIRP_RANGE}", f"--ready-fd={told}", "--netns-type=path"]
        try:
            with (self._directory / "slirp.log").open("wb") as log:
                process = subprocess.Popen(
                    [*words, str(self._spaces.path(names.EDGE)), names.SLIRP],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=[told],
                )
            os.close(told)
            told = -1
            self._slirp.note(process.pid)
            self._running = (process.pid, birth(process.pid))
            if select.select([ready], [], [], SLIRP_SECONDS)[0] and os.read(ready, 1):
                return ""
        except OSError as error:
            return f"slirp4netns could not be started: {error}"
        finally:
            os.close(ready)
            if told >= 0:
                os.close(told)
        self._slirp.end()
        process.poll()
        said = (self._directory / "slirp.log").read_text("utf-8", "replace").strip()[-300:]
        return f"slirp4netns could not be started: {said}"

    # -- the host, for routed addresses ------------------------------------------------------------------------------

    def _link_host(self) -> None:
        """A link of the host's own namespace. The host does not forward for anybody else by it: that is left as is."""
        if names.HOST in self._spaces.links(names.EDGE):
            return
        words = ["ip", "link", "add", self._host_link, "address", names.NEAR, "type", "veth"]
        command([*words, "peer", "name", names.HOST, "address", names.FAR, "netns", str(self._spaces.path(names.EDGE))])
        Path("/proc/sys/net/ipv6/conf", self._host_link, "disable_ipv6").write_text("1")
        command(["ip", "link", "set", "dev", self._host_link, "up"])
        self._spaces.ip(names.EDGE, [f"link set dev {names.HOST} up"])

    def _route_host(self, given: Sequence[str]) -> None:
        link = self._host_link
        listed = command(["ip", "-4", "route", "show", "dev", link, "proto", str(routes.PROTOCOL)]).splitlines()
        present = {line.split()[0] for line in listed if line.strip()}
        text = f"neigh replace {names.DOWN} lladdr {names.FAR} dev {link} nud permanent\n"
        for one in given:
            text += f"route replace {one}/32 via {names.DOWN} dev {link} onlink proto {routes.PROTOCOL}\n"
        for one in sorted(present - set(given)):
            text += f"route del {one} dev {link} proto {routes.PROTOCOL}\n"
        command(["ip", "-batch", "-"], text)

    def leave(self) -> None:
        """End slirp4netns, also where its note is gone."""
        end(*self._running)
        self._slirp.end()

    def remove(self) -> None:
        """The namespace too; the link to the host goes with it."""
        self.leave()
        try:
            self._spaces.remove(names.EDGE)
        except CommandError as error:
            _log.warning("the edge could not be removed: %s", error)
