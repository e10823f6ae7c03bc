"""Who sent a request: SigV4 in a header or a URL, and SigV2. Nothing here knows any secret."""

from __future__ import annotations

from isthmus.aws.auth import sigv2, sigv4
from isthmus.aws.auth.claim import SKEW, Claim, Scope
from isthmus.aws.errors import AwsError
from isthmus.aws.request import Pairs, Request

__all__ = ["SKEW", "Claim", "Scope", "claim"]

_MARKS_V2 = frozenset({"AWSAccessKeyId", "Signature", "SignatureVersion", "SignatureMethod"})
_MARKS_V4 = frozenset({"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"})


def claim(request: Request, params: Pairs | None = None) -> Claim:
    """What the request claims; neither its signature nor its time is checked yet.

    Raises AwsError: MissingAuthenticationToken for an unsigned request, IncompleteSignature for a malformed or
    unknown kind of signature, and what parsing the parameters raises.
    """
    pairs = request.params if params is None else params
    has_header = "authorization" in request.headers
    is_presigned = any(name in _MARKS_V4 for name, _ in request.query_params)
    is_v2 = any(name in _MARKS_V2 for name, _ in pairs)
    if has_header + is_presigned + is_v2 > 1:
        raise AwsError("IncompleteSignature", "The request is signed in more than one way.")
    if has_header:
        return sigv4.in_header(request)
    if is_presigned:
        return sigv4.in_query(request)
    if is_v2:
        return sigv2.in_params(request, pairs)
    raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token")
