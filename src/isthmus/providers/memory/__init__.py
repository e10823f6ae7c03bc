"""The reference provider: a whole cloud of simulated servers in this process, in the contract's own words."""

from isthmus.providers.memory.cloud import Memory

__all__ = ["Memory"]
