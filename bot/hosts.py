"""Whose host an address names: Hugging Face's, which may see its tokens, or this machine's own."""

from __future__ import annotations

import ipaddress

from yarl import URL


def is_hugging_face(url: str) -> bool:
    """Whether requests to `url` go to the Hub or to a Space there, so that they may carry tokens.

    Only over https, on its usual port, and with no user or password in the address: whoever writes
    those has credentials for it already. The host is the one that would be connected to, so no
    spelling of another one passes. `hf.co` only redirects, and hosts neither.

    Args:
        url: any text; one that is not an address is not Hugging Face's.
    """
    try:
        address = URL(url)
        host = (address.raw_host or "").lower().removesuffix(".")
        usual = address.scheme == "https" and address.is_default_port()
    except ValueError:
        return False
    ours = host == "huggingface.co" or host.endswith(".hf.space")
    return ours and usual and address.raw_user is None and address.raw_password is None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`.

    Args:
        host: a name or an address, with no port; an IPv6 address may be in brackets.
    """
    name = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
