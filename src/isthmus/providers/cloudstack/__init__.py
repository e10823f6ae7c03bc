"""CloudStack: one API for all, signed with the tenant's own keys."""
