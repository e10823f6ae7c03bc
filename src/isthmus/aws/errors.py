"""What an AWS API answers when it refuses."""

from __future__ import annotations

from types import MappingProxyType

STATUS = MappingProxyType(
    {
        "AccessDenied": 403,
        "AuthFailure": 401,
        "DryRunOperation": 412,
        "IncompleteSignature": 400,
        "InternalError": 500,
        "InvalidClientTokenId": 403,
        "MissingAuthenticationToken": 403,
        "OptInRequired": 403,
        "RequestEntityTooLarge": 413,
        "RequestExpired": 400,
        "RequestHeaderFieldsTooLarge": 431,
        "RequestLimitExceeded": 503,
        "ServiceUnavailable": 503,
        "SignatureDoesNotMatch": 403,
        "Unavailable": 503,
        "UnauthorizedOperation": 403,
    }
)
"""HTTP statuses by code; every other code is a 400."""


class AwsError(Exception):
    """A refusal in AWS's words: `message` is shown to the client, so it holds no secret."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = STATUS.get(code, 400) if status is None else status
