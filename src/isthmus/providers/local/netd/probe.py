"""Whether this user can make a namespace with a tap, a veth and packet filters: run in one that was just made.

Started with `python -I -S`, so it must import nothing but what it needs. Says what fails, and exits with 1.
"""

import fcntl
import os
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
RULES = """
table inet isthmus {
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related accept; }
  chain back { type nat hook postrouting priority 100; policy accept; ip saddr 192.0.2.1 masquerade; }
}
table arp isthmus {
  chain input { type filter hook input priority 0; policy accept;
    arp saddr ip 192.0.2.1 drop
  }
}
"""


def open_tap(name: str) -> int:
    """The descriptor of a new tap in this thread's namespace; the tap goes with its last descriptor."""
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    except BaseException:
        os.close(tap)
        raise
    return tap


def main() -> None:
    try:
        tap = open_tap("tap0")
    except OSError as error:
        sys.exit(f"no tap can be made: {error}")
    for words, text in (
        (["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1"], ""),
        (["ip", "link", "set", "dev", "tap0", "up"], ""),
        (["nft", "-f", "-"], RULES),
    ):
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{words[0]}: {' '.join(done.stderr.split())[:300]}")
    os.close(tap)


if __name__ == "__main__":
    main()
