"""OpenStack: Nova, Neutron, Glance and Cinder, each called with the tenant's own token."""

from isthmus.providers.openstack.cloud import OpenStack, Options

__all__ = ["OpenStack", "Options"]
