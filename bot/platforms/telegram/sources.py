"""Where deliveries may come from. Pure.

Telegram names two networks for them ("Marvin's Marvellous Guide to All Things Webhook"). What
speaks https for the bot usually stands between, so an address that is none of the internet counts
as a proxy of one's own, and what it says of its client counts next.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_allowed(networks: Sequence[Network], remote: str | None, forwarded: Sequence[str]) -> bool:
    """Whether a delivery comes from one of these networks, as far as can be told.

    Args:
        networks: where it may come from; none: from anywhere.
        remote: the address at the other end of the connection; `None` where there is none.
        forwarded: the addresses in `X-Forwarded-For`, in their order. Only those are believed that
            a proxy of one's own wrote: from the last one back to the first of the internet.
    """
    if not networks:
        return True
    for text in (*([] if remote is None else [remote]), *reversed(forwarded)):
        address = _address(text)
        if address is None:
            return False
        if any(address in network for network in networks):
            return True
        if address.is_global:
            return False
    return True  # the proxy does not say who its client is; the secret has to do


def addresses(headers: Sequence[str]) -> list[str]:
    """The addresses in all `X-Forwarded-For` headers of a request."""
    return [part for header in headers for each in header.split(",") if (part := each.strip())]


def _address(text: str) -> _Address | None:
    host = text.partition("]")[0].lstrip("[")
    if host.count(":") == 1:  # an IPv4 address with a port
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
