"""Carries one guest connection to the metadata socket: relay.py SOCKET TENANT SERVER, started by QEMU for each.

Runs with `python -S -E -I`, so it must import nothing but what it needs. File descriptor 0 is the guest.
"""

import os
import select
import socket
import sys


def main(path: str, tenant: str, native: str) -> None:
    directory, _, name = path.rpartition("/")
    os.chdir(directory or "/")  # a socket's path may be at most 107 bytes long
    server = socket.socket(socket.AF_UNIX)
    server.connect(name)
    server.sendall(f"ISTHMUS/1 {tenant} {native}\n".encode())
    guest, peer = 0, server.fileno()
    open_ends = [guest, peer]
    while open_ends:
        for end in select.select(open_ends, [], [])[0]:
            data = os.read(end, 65536)
            if end == guest and not data:
                open_ends.remove(guest)
                server.shutdown(socket.SHUT_WR)
            elif end == peer and not data:
                return
            elif end == guest:
                server.sendall(data)
            while end == peer and data:
                data = data[os.write(1, data) :]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except OSError:
        sys.exit(1)
