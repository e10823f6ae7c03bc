"""What a customer's router has to be told of a VPN connection, as the XML document that EC2 gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from isthmus.core.kept import Kept
from isthmus.core.vpn import Tunnel

# what the tunnels of EC2 are set to unless a customer says otherwise; source: "Tunnel options for your VPN connection"
_IKE = {
    "authentication_protocol": "sha1",
    "encryption_protocol": "aes-128-cbc",
    "lifetime": "28800",
    "perfect_forward_secrecy": "group2",
    "mode": "main",
}
_IPSEC: Mapping[str, Any] = {
    "protocol": "esp",
    "authentication_protocol": "hmac-sha1-96",
    "encryption_protocol": "aes-128-cbc",
    "lifetime": "3600",
    "perfect_forward_secrecy": "group2",
    "mode": "tunnel",
    "clear_df_bit": "true",
    "fragmentation_before_encryption": "true",
    "tcp_mss_adjustment": "1379",
    "dead_peer_detection": {"interval": "10", "retries": "3"},
}


def configuration(connection: Kept, gateway: Kept, customer: Kept, tunnels: Sequence[Tunnel]) -> str:
    """The CustomerGatewayConfiguration."""
    root = Element("vpn_connection", id=connection.id)
    static = connection.data["static"]
    _put(
        root,
        {
            "customer_gateway_id": customer.id,
            "vpn_gateway_id": gateway.id,
            "vpn_connection_type": "ipsec.1",
            "vpn_connection_attributes": "NoBGPVPNConnection" if static else "",
        },
    )
    for each in tunnels:
        ours, theirs = list(IPv4Network(each.inside).hosts())
        tunnel = SubElement(root, "ipsec_tunnel")
        _put(
            tunnel,
            {
                "customer_gateway": _end(
                    customer.data["address"], str(theirs), {} if static else _bgp(customer.data["asn"])
                ),
                "vpn_gateway": _end(each.outside, str(ours), {} if static else _bgp(gateway.data["asn"])),
                "ike": {**_IKE, "pre_shared_key": each.key},
                "ipsec": _IPSEC,
            },
        )
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _end(outside: str, inside: str, more: Mapping[str, Any]) -> Mapping[str, Any]:
    """One end of a tunnel."""
    return {
        "tunnel_outside_address": {"ip_address": outside},
        "tunnel_inside_address": {"ip_address": inside, "network_mask": "255.255.255.252", "network_cidr": "30"},
        **more,
    }


def _bgp(asn: int) -> Mapping[str, Any]:
    return {"bgp": {"asn": str(asn), "hold_time": "30"}}


def _put(parent: Element, said: Mapping[str, Any]) -> None:
    """Elements by their names; what is empty is left out."""
    for name, value in said.items():
        if isinstance(value, Mapping):
            _put(SubElement(parent, name), value)
        elif value:
            SubElement(parent, name).text = value
