"""Whose host an address names: Hugging Face's, which may see its tokens, or this machine's own."""

from __future__ import annotations

import ipaddress
import re

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


_PAGE = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/spaces/([\w.-]+/[\w.-]+)(?:[/?#].*)?", re.ASCII
)


def space_of_page(url: str) -> str:
    """The id of the Space whose page on Hugging Face this is, e.g. `me/janus`; `""` for others.

    Args:
        url: any text.
    """
    found = _PAGE.fullmatch(url)
    return found[1] if found else ""


_MANY_OWNERS = frozenset(
    {
        "amazonaws.com",
        "azurewebsites.net",
        "cloudfront.net",
        "duckdns.org",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "gradio.live",
        "herokuapp.com",
        "hf.space",
        "huggingface.cloud",
        "lhr.life",
        "loca.lt",
        "modal.run",
        "netlify.app",
        "ngrok.app",
        "ngrok.dev",
        "ngrok.io",
        "ngrok-free.app",
        "ngrok-free.dev",
        "onrender.com",
        "pages.dev",
        "railway.app",
        "replit.app",
        "replit.dev",
        "run.app",
        "runpod.net",
        "trycloudflare.com",
        "ts.net",
        "vercel.app",
        "workers.dev",
    }
)
"""Names under which anybody can have a host."""
_COUNTRY_CHARS, _SHORT_CHARS = 2, 3
"""As in `co.uk` and `com.au`, below which names are registered."""


def same_site(host: str, other: str) -> bool:
    """Whether two hosts certainly belong to one owner: equal, or below one registered name.

    Without the whole list of public suffixes it rather says no: of what is no country's and not
    known as shared, the last two labels count.

    Args:
        host: a name or an address, without a port.
        other: likewise.
    """
    host, other = (each.lower().removesuffix(".") for each in (host, other))
    if host == other:
        return True
    return (site := _registered(host)) != "" and site == _registered(other)


def _registered(host: str) -> str:
    """The name that somebody registered; `""` for addresses and single labels."""
    labels = host.split(".")
    if ":" in host or labels[-1].isdecimal() or len(labels) < 2:  # noqa: PLR2004 - a name and a top
        return ""
    under_country = len(labels[-1]) == _COUNTRY_CHARS and len(labels[-2]) <= _SHORT_CHARS
    shared = under_country or any(".".join(labels[start:]) in _MANY_OWNERS for start in (-2, -3))
    count = 3 if shared else 2
    return ".".join(labels[-count:]) if len(labels) >= count else ""
