"""A range of IPv4 addresses that are given out one by one."""

from __future__ import annotations

from collections import deque
from ipaddress import AddressValueError, IPv4Address, IPv4Network

from isthmus.errors import Conflict, Invalid, NoCapacity


class Pool:
    """Addresses of `ranges`, but for the first `skip` and the last one of each."""

    def __init__(self, *ranges: str, skip: int = 4) -> None:
        self._spans = [_span(IPv4Network(text), skip) for text in ranges]
        self._fresh = (number for span in self._spans for number in span)
        self._freed: deque[int] = deque()
        self._used: set[int] = set()
        self._size = sum(len(span) for span in self._spans)

    @property
    def free(self) -> int:
        return self._size - len(self._used)

    @property
    def used(self) -> int:
        return len(self._used)

    def take(self, wanted: str = "") -> str:
        """An address; Invalid if `wanted` is not one of these, Conflict if it is taken, NoCapacity if none is left."""
        number = self._wanted(wanted) if wanted else self._next()
        self._used.add(number)
        return str(IPv4Address(number))

    def give_back(self, address: str) -> None:
        number = int(IPv4Address(address))
        self._used.discard(number)
        self._freed.append(number)

    def _wanted(self, text: str) -> int:
        try:
            number = int(IPv4Address(text))
        except AddressValueError:
            raise Invalid(f"{text!r} is not an IPv4 address", "address") from None
        if not any(number in span for span in self._spans):
            raise Invalid(f"the address {text} cannot be given out here", "address")
        if number in self._used:
            raise Conflict("address", text, f"the address {text} is taken", code="in-use")
        return number

    def _next(self) -> int:
        for number in self._fresh:
            if number not in self._used:
                return number
        while self._freed:
            if (number := self._freed.popleft()) not in self._used:
                return number
        raise NoCapacity("address", reason="no address is left")


def _span(network: IPv4Network, skip: int) -> range:
    first = int(network.network_address)
    return range(first + skip, first + network.num_addresses - 1)
