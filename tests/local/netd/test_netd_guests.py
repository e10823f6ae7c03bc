"""What a guest is told and answered by its own network: DHCP, metadata and names; and that it cannot be another."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace

from isthmus.model import CLOUDS_OWN, Dhcp, Hop, Route
from isthmus.providers.local.netd import dns

from .conftest import SOON, Cloud, network, port, until

DISCOVER, REQUEST, INFORM = 1, 3, 8
OFFER, ACK, NAK = "02", "05", "06"


def ip(*parts: str) -> str:
    return "".join(socket.inet_aton(one).hex() for one in parts)


def test_a_guest_is_told_its_address_and_what_goes_with_it(cloud: Cloud) -> None:
    told = Dhcp("example.internal", ("192.0.2.53", CLOUDS_OWN), ("192.0.2.123",), ("192.0.2.137",), "2")
    plan = port("a", "172.31.0.5", addresses=("172.31.0.5", "172.31.0.77"))
    cloud.apply(network(plan, dhcp=told))
    guest = cloud.plug("a", configured=False)

    offered = guest("dhcp", plan.mac, DISCOVER, 3)

    assert offered == {
        "53": OFFER,
        "address": ip("172.31.0.5"),
        "54": ip("172.31.0.1"),
        "51": "00000e10",
        "1": ip("255.255.240.0"),
        "3": ip("172.31.0.1"),
        "26": "05dc",
        "6": ip("192.0.2.53", "172.31.0.2"),
        "15": b"example.internal".hex(),
        "42": ip("192.0.2.123"),
        "44": ip("192.0.2.137"),
        "46": "02",
    }
    assert guest("dhcp", plan.mac, REQUEST, 3, "172.31.0.5") == {**offered, "53": ACK}


def test_another_address_than_its_own_is_refused_and_another_mac_is_not_heard(cloud: Cloud) -> None:
    plan = port("a", "172.31.0.5")
    cloud.apply(network(plan, port("b", "172.31.0.6")))
    guest = cloud.plug("a", configured=False)

    assert guest("dhcp", plan.mac, REQUEST, 3, "172.31.0.6")["53"] == NAK
    assert guest("dhcp", "06:00:ac:1f:00:06", DISCOVER, SOON) == {}
    assert guest("dhcp", plan.mac, INFORM, 3)["address"] == "00000000"


def test_without_options_names_are_answered_by_the_network_itself_if_they_are(cloud: Cloud) -> None:
    plan = port("a", "172.31.0.5")
    cloud.apply(network(plan))
    guest = cloud.plug("a", configured=False)
    assert guest("dhcp", plan.mac, DISCOVER, 3)["6"] == ip("172.31.0.2")

    cloud.apply(network(plan, resolver=False))
    assert "6" not in guest("dhcp", plan.mac, DISCOVER, 3)


def test_nonsense_is_not_answered_and_ends_nothing(cloud: Cloud) -> None:
    plan = port("a", "172.31.0.5")
    [guest] = cloud.start(network(plan))
    for data in ("00", "01" * 240, "01" * 236 + "63825363" + "35", "01" * 236 + "63825363" + "35ff01", "ff" * 1400):
        assert guest("ask", "172.31.0.1", 67, 0.1, data=data) == "TimeoutError"

    assert guest("dhcp", plan.mac, DISCOVER, 3)["53"] == OFFER


def test_metadata_is_asked_for_the_server_that_asks_in_each_network(cloud: Cloud) -> None:
    """Both networks have the same addresses."""
    one = network(port("a", "172.31.0.5"), port("b", "172.31.16.5", subnet="b", tenant="", server="none"))
    other = network(port("c", "172.31.0.5", tenant="other"), native="other")
    cloud.apply(one, other)

    assert cloud.plug("a")("fetch", "/x", 3) == "ISTHMUS/1 acme server-a: GET /x HTTP/1.0"
    assert cloud.plug("c")("fetch", "/y", 3) == "ISTHMUS/1 other server-c: GET /y HTTP/1.0"


def test_nobody_asks_for_metadata_as_another_even_where_sources_are_not_checked(cloud: Cloud) -> None:
    a, b = cloud.start(network(port("a", "172.31.0.5", source_check=False), port("b", "172.31.0.6")))
    a("run", ["ip", "address", "add", "172.31.0.6/32", "dev", "eth0"])

    assert a("connect", "169.254.169.254", 80, SOON, "172.31.0.6", "GET / HTTP/1.0\r\n\r\n") == "TimeoutError"
    assert b("fetch", "/", 3) == "ISTHMUS/1 acme server-b: GET / HTTP/1.0"


def test_the_namespace_itself_answers_nothing_else(cloud: Cloud) -> None:
    [guest] = cloud.start(network(port("a", "172.31.0.5")))

    for address in ("172.31.0.1", "172.31.0.2", "169.254.169.254", "169.254.169.253"):
        assert guest("ping", address, 0.3) == "TimeoutError"
        assert guest("connect", address, 22, 0.3) == "TimeoutError"


QUESTION = "123401000001000000000000076578616d706c6503636f6d0000010001"
"""Of example.com's address (RFC 1035)."""


def expected_over_tcp(framed: str) -> str:
    for resolver in dns.resolvers():
        with contextlib.suppress(OSError), socket.create_connection((resolver, 53), 3) as connection:
            connection.sendall(bytes.fromhex(framed))
            return connection.recv(4096).hex()[4:8]
    return ""


def test_names_are_asked_of_the_hosts_resolvers(cloud: Cloud) -> None:
    """Only that an answer, or none, is the same as the host itself gets: what is there to resolve is the host's."""
    [guest] = cloud.start(network(port("a", "172.31.0.5")))

    def of_host() -> str:
        for resolver in dns.resolvers():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.settimeout(3)
                try:
                    client.sendto(bytes.fromhex(QUESTION), (resolver, 53))
                    return client.recv(4096).hex()[:4]
                except OSError:
                    continue
        return "TimeoutError"[:4]

    expected = of_host()
    assert guest("ask", "172.31.0.2", 53, 10, data=QUESTION)[:4] == expected
    assert guest("ask", "169.254.169.253", 53, 10, data=QUESTION)[:4] == expected
    framed = f"{len(QUESTION) // 2:04x}{QUESTION}"
    assert guest("exchange", "172.31.0.2", 53, 10, framed)[4:8] == expected_over_tcp(framed)

    cloud.apply(network(port("a", "172.31.0.5"), resolver=False))
    assert guest("ask", "172.31.0.2", 53, SOON, data=QUESTION) == "TimeoutError"


def test_a_guest_sends_as_itself_alone(cloud: Cloud) -> None:
    a, b = cloud.start(
        network(port("a", "172.31.0.5", addresses=("172.31.0.5", "172.31.0.50")), port("b", "172.31.0.6"))
    )
    a("run", ["ip", "address", "add", "172.31.0.9/20", "dev", "eth0"])

    assert a("ask", b.address, 53000, SOON, "172.31.0.50") == "b 172.31.0.50 1"
    assert a("ask", b.address, 53000, SOON, "172.31.0.9") == "TimeoutError"
    a("run", ["ip", "link", "set", "eth0", "address", "06:00:00:00:99:99"])
    assert a("ask", b.address, 53000, SOON, "172.31.0.5") == "TimeoutError"


def test_a_guest_that_claims_anothers_address_gets_none_of_its_traffic(cloud: Cloud) -> None:
    a, b, c = cloud.start(network(port("a", "172.31.0.5"), port("b", "172.31.0.6"), port("c", "172.31.0.7")))
    a("run", ["ip", "address", "add", f"{b.address}/20", "dev", "eth0"])
    a("run", ["arping", "-U", "-c", "1", "-I", "eth0", b.address])

    assert until(lambda: c("connect", b.address, 80, SOON)) == "b 172.31.0.7"


def test_a_guest_without_the_check_forwards_for_others(cloud: Cloud) -> None:
    """A router with a port in each subnet would be the same: what counts is that foreign sources pass."""
    a, b = cloud.start(network(port("a", "172.31.0.5", source_check=False), port("b", "172.31.0.6")))
    a("run", ["ip", "address", "add", "10.9.9.9/32", "dev", "eth0"])
    b("run", ["sysctl", "-w", "net.ipv4.conf.all.rp_filter=0"])

    assert a("ask", b.address, 53000, SOON, "10.9.9.9") == "TimeoutError"  # no way back yet
    plan = cloud.plan.networks[0]
    subnets = (replace(plan.subnets[0], routes=(Route("10.9.9.0/24", Hop.PORT, "a"),)), plan.subnets[1])
    cloud.apply(replace(plan, subnets=subnets))

    assert a("ask", b.address, 53000, SOON, "10.9.9.9") == "b 10.9.9.9 1"
    assert b("ping", "10.9.9.9", SOON) == "10.9.9.9"

    checked = (replace(plan.ports[0], source_check=True), plan.ports[1])
    cloud.apply(replace(plan, subnets=subnets, ports=checked))

    assert a("ask", b.address, 53000, SOON, "10.9.9.9") == "TimeoutError"
    assert b("ping", "10.9.9.9", SOON) == "TimeoutError"
