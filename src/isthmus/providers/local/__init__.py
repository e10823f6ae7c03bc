"""The embedded cloud: a small real cloud of QEMU machines on this very host."""

from isthmus.providers.local.cloud import Local

__all__ = ["Local"]
