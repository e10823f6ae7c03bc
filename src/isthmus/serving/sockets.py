"""The socket that the service listens on."""

from __future__ import annotations

import socket

from isthmus.options import Address, ConfigError

BACKLOG = 2048


def bind(address: Address) -> socket.socket:
    """A socket that listens. Raises ConfigError if the address cannot be had."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(target)
            bound.listen(BACKLOG)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigError(f"Cannot listen on {address}: {error.strerror or error}.") from None
    return bound


def address_of(bound: socket.socket, asked: Address) -> Address:
    """The address in the words it was asked for, with the port that was given."""
    return Address(asked.host, bound.getsockname()[1])
