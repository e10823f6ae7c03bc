"""CloudStack: one API for all, signed with the tenant's own keys."""

from isthmus.providers.cloudstack.cloud import CloudStack, Options
from isthmus.providers.cloudstack.signing import Keys

__all__ = ["CloudStack", "Keys", "Options"]
