"""CloudStack: one API for all, signed with the tenant's own keys."""

from isthmus.providers.cloudstack.cloud import CloudStack, Options

__all__ = ["CloudStack", "Options"]
