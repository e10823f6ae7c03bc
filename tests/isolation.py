"""What one account has is not there for another one, whatever that one asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from places import EACH, PLACES, Place, own, unknown
from raw import Sender

TOLD = (
    *("DescribeInstances", "DescribeVolumes", "DescribeSnapshots", "DescribeImages", "DescribeKeyPairs"),
    *("DescribeVpcs", "DescribeSubnets", "DescribeRouteTables", "DescribeInternetGateways", "DescribeNatGateways"),
    *("DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeAddresses"),
    *("DescribeLaunchTemplates", "DescribePlacementGroups", "DescribeTags", "DescribeVpnGateways"),
    *("DescribeNetworkAcls", "DescribeDhcpOptions", "DescribeVpcEndpoints", "DescribeEgressOnlyInternetGateways"),
    *("DescribeVpcPeeringConnections", "DescribeCustomerGateways", "DescribeVpnConnections", "DescribeFleets"),
    *("DescribeSpotInstanceRequests", "DescribeCapacityReservations", "DescribeIamInstanceProfileAssociations"),
)
"""What tells all that an account has."""
Owner = tuple[str, str, str]


def everything(send: Sender) -> list[str]:
    """All that an account has, as it is told of it."""
    return [re.sub("<requestId>.*?</requestId>", "", send(action).text) for action in TOLD]


def demand_unknown(front: Any, owner: Owner, other: Owner, theirs: Mapping[str, str], places: int) -> None:
    """The things of `owner`, by the prefixes of their ids, are to `other` as if they never were; they stay as they are.

    They are put in each parameter that takes one: in so many `places` at least.
    """
    before = everything(Sender(front, owner))
    send = Sender(front, other)

    def ask(place: Place) -> None:
        params = own({}, place.action)
        real = send(place.action, {**params, place.parameter: theirs[place.prefix]})
        never = send(place.action, {**params, place.parameter: unknown(place.prefix)})

        assert (place, real.status, real.code) == (place, never.status, never.code)
        assert real.message.replace(theirs[place.prefix], unknown(place.prefix)) == never.message, place
        assert real.status == 400 or place.action in EACH or not real.root.findall(".//item"), place

    asked = [place for place in PLACES if place.prefix in theirs]
    assert len(asked) > places
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, asked))
    assert before == everything(Sender(front, owner))


def demand_unlisted(front: Any, other: Owner, theirs: Mapping[str, str]) -> None:
    """No listing tells `other` of them."""
    send = Sender(front, other)
    ids = [known for prefix, known in theirs.items() if prefix not in ("groupname", "keyname")]
    for action in TOLD:
        text = send(action).text
        assert not [one for one in ids if one in text], action
