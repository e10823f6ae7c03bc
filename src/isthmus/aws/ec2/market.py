"""What a launch says of the market: spot instances are ordinary ones, at any price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from isthmus.aws.errors import AwsError

_KINDS = ("one-time", "persistent")
_MARKETS = ("", "on-demand", "spot")


def market_options(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of Launch that InstanceMarketOptions name. Raises AwsError for what is not offered."""
    market, options = said.get("MarketType", ""), said.get("SpotOptions", {})
    if market not in _MARKETS:
        raise AwsError("UnsupportedOperation", f"InstanceMarketOptions.MarketType cannot be {market} here.")
    if market != "spot":
        if options:
            raise AwsError("InvalidParameterCombination", "SpotOptions go with the market type spot only.")
        return {}
    kind, behavior = options.get("SpotInstanceType", "one-time"), options.get("InstanceInterruptionBehavior", "")
    if kind not in _KINDS:
        raise AwsError("InvalidParameterValue", f"Value ({kind}) for parameter type is invalid.")
    if behavior not in ("", "terminate", "stop"):
        raise AwsError("UnsupportedOperation", f"The interruption behavior cannot be {behavior} here.")
    if behavior == "stop" and kind != "persistent":
        raise AwsError("InvalidParameterCombination", "The interruption behavior stop needs a persistent request.")
    if options.get("BlockDurationMinutes"):
        raise AwsError("UnsupportedOperation", "AWS retired Spot Blocks.")
    until = options.get("ValidUntil")
    return {
        "spot": kind,
        "spot_price": price(options.get("MaxPrice", "")),
        "spot_behavior": behavior or "terminate",
        "spot_until": until.isoformat() if isinstance(until, datetime) else "",
    }


def price(said: str) -> str:
    """A price in AWS's form, or empty for none."""
    try:
        value = Decimal(said) if said else Decimal(0)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0 or value > 1_000_000:
        raise AwsError("InvalidParameterValue", f"Invalid value '{said[:128]}' for spotPrice.")
    return f"{value:.6f}" if said else ""
