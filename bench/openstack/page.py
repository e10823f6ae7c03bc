"""The section of the documentation's page on speed that this bench writes."""

from __future__ import annotations

from pathlib import Path

from bench import report, sections
from bench.figures import Report

HEADING = "## Over OpenStack"
_SECTION = f"""{HEADING}

Measured by `make bench-openstack` ({{when}}), over [OpenStack Zed](../tests/clouds/openstack/README.md) with Nova's
fake driver; all of it on the same {{cores}} cores, load before: {{load}}. `python -m bench.openstack --write` makes
this section.

{{table}}

{{notes}}

- *isthmus* has signatures judged by Keystone (`credentials = "validate"`), as ec2-api does; *own* is the part of its
  time in which it waited for no answer of OpenStack's; *fetch* is Isthmus with `credentials = "fetch"`.
- *direct* are the very calls that Isthmus made, made again by openstacksdk in the same order and as many at a time; for
  launches and their end, a port and a server each. *slowest* is the slowest of these calls, made alone.
- *ec2-api* is release 17.0.0, in an environment of its own with its database in OpenStack's. Isthmus's instances are
  launched in a network of before, ec2-api's in a VPC that it made.
- All are measured in turn, {{rounds}} rounds of reads and {{cycles}} of launches; figures are medians.

What bounds it: nearly all of the time is OpenStack's. Here Neutron answers one call after another, so what is asked of
it at the same time takes the sum of its times: for an instance by its id its ports, floating IPs and security groups,
besides Nova's server and Cinder's volumes; Nova itself asks Neutron for ports and security groups whenever it tells of
a server; and Keystone's word on the signature comes before all of them. A launch makes all ports in one call, and the
servers eight at a time, and reads none of them again; Nova asks Neutron for the port of each, and again as it builds
the server: until they run it takes nearly as long without any gateway (*direct*). A termination is answered when Nova
has accepted it, and the ports are deleted after that.
"""


def write(page: Path, found: Report, servers: tuple[str, ...], rounds: int, cycles: int) -> None:
    section = _SECTION.format(
        when=found.machine["date"],
        cores=found.machine["cores"],
        load=found.machine["load before"],
        table=report.table(found, servers),
        notes=report.notes(found),
        rounds=rounds,
        cycles=cycles,
    )
    sections.write(page, HEADING, section)
