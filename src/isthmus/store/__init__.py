"""What only the API knows: accounts, ids, tags, tokens. Losing it loses those, never a machine."""

from isthmus.store.accounts import Account, Credential, CredentialInfo, Tenant
from isthmus.store.changes import Change, Edit
from isthmus.store.errors import StoreError
from isthmus.store.store import Store
from isthmus.store.trail import Trail
from isthmus.store.views import Record, View

__all__ = [
    "Account",
    "Change",
    "Credential",
    "CredentialInfo",
    "Edit",
    "Record",
    "Store",
    "StoreError",
    "Tenant",
    "Trail",
    "View",
]
