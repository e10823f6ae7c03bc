"""What a cloud can refuse. Providers make these, fronts say them; nobody between catches."""

from __future__ import annotations


class Fault(Exception):
    """A refusal in words a user may read: never a secret, a path, or another tenant's name."""


class _OfResource(Fault):
    """A fault about one resource: `kind` is the noun's word ("server", "volume", ...), `native` names it."""

    def __init__(self, kind: str, native: str = "", reason: str = "") -> None:
        super().__init__(reason or f"{kind} {native}".strip())
        self.kind = kind
        self.native = native
        self.reason = reason


class NotFound(_OfResource):
    """There is no such thing, or it is not the asker's."""


class Conflict(_OfResource):
    """The thing is in a state, or has ties to others, that forbid what was asked.

    `code` tells apart what every cloud can mean by it: `state`, `in-use` or `duplicate`.
    """

    def __init__(self, kind: str, native: str = "", reason: str = "", code: str = "state") -> None:
        super().__init__(kind, native, reason)
        self.code = code


class Invalid(Fault):
    """The request can never succeed as it stands; `field` is the noun's field at fault, if one is."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.field = field


class QuotaExceeded(_OfResource):
    """The tenant's own limit on `kind` is reached."""


class NoCapacity(_OfResource):
    """The cloud has no room for one more `kind`."""


class Incomplete(Invalid):
    """The cloud has to be told more than it was, to do this."""


class Denied(Fault):
    """The tenant may not do this on the cloud."""


class Unauthorized(Denied):
    """Not as the tenant's rights on the cloud are, however things stand: its role lacks the command."""


class NotTaken(Denied):
    """The cloud does not take the credentials that it is called with: they are wrong, withdrawn or disabled."""


class Unsupported(Fault):
    """This cloud cannot do this at all; the text says why and what would help."""


class Unavailable(Fault):
    """The cloud did not answer, or asks to be left alone for a moment. The only fault worth a retry."""


class Throttled(Unavailable):
    """The cloud takes no more requests of the tenant for a while."""


class Broken(Unavailable):
    """Isthmus cannot reach its own records. The text is for the operator alone: it may name a path or a host."""
