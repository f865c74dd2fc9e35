"""What single values of the configuration may be.

No error repeats the value that it refuses: an address can hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

_HUGGING_FACE = re.compile(r"(?:.+\.)?(?:huggingface\.co|hf\.space|hf\.co)", re.IGNORECASE)

_WEB_CHAT = ("/api", "/files", "/healthz", "/login", "/metrics", "/pictures", "/readyz", "/static")
"""What the first part of a path can be on the bot's own HTTP server."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def is_hugging_face(url: str) -> bool:
    """Whether requests to `url` reach a host of Hugging Face, and encrypted."""
    parts = urlsplit(url)
    return parts.scheme == "https" and _HUGGING_FACE.fullmatch(parts.hostname or "") is not None


def _check_url(url: str, *schemes: str) -> str:
    """The URL without a trailing slash."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise ValueError(f"must be a URL that begins with {wanted}")
    return url.rstrip("/")


def _check_http(url: str) -> str:
    return _check_url(url, "http", "https")


def _check_socket(url: str) -> str:
    return url and _check_url(url, "ws", "wss")


def _check_proxy(proxy: SecretStr) -> SecretStr:
    url = proxy.get_secret_value()
    return SecretStr(url and _check_url(url, "http", "https", "socks5"))


def _check_database(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    try:
        usable = not text or bool(re.match(r"[a-z]\w*(\+\w+)?://", text) and urlsplit(text).scheme)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a database URL such as sqlite:///janus.db, or empty")
    return url


def _check_language(tag: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag):
        raise ValueError('must be a language tag, such as "en" or "pt-BR"')
    return tag


def _check_space(name: str) -> str:
    if name and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError('must be the owner and the name of a Space, such as "someone/their-space"')
    return name


def _check_admin(person: str) -> str:
    if not re.fullmatch(r"(discord|telegram|web):[^\s:]+", person):
        raise ValueError('must be a platform and an id, such as "discord:123" or "telegram:456"')
    return person


def _check_rule(rule: str) -> str:
    if not re.fullmatch(r"(discord|telegram|web):((role|channel|server):)?[^\s:]+(:\d+)?", rule):
        raise ValueError(
            'must name a person ("discord:123"), or a role, channel or server '
            '("discord:role:123", "telegram:channel:-100123")'
        )
    return rule


def _check_webhook(url: str) -> str:
    if not url:
        return url
    checked = _check_http(url)
    path = urlsplit(checked).path
    if any(path == taken or path.startswith(f"{taken}/") for taken in _WEB_CHAT):
        raise ValueError("needs a path that the web chat does not use, such as /telegram")
    return checked


def _check_subnet(subnet: str) -> str:
    try:
        ipaddress.ip_network(subnet)
    except ValueError:
        raise ValueError('must be an address or a network, such as "149.154.160.0/20"') from None
    return subnet


def lower_case(value: object) -> object:
    """Text in lower case; anything else as it is."""
    return value.lower() if isinstance(value, str) else value


HttpUrl: TypeAlias = Annotated[str, AfterValidator(_check_http)]
OptionalHttpUrl: TypeAlias = Annotated[str, AfterValidator(lambda url: url and _check_http(url))]
OptionalWebhookUrl: TypeAlias = Annotated[str, AfterValidator(_check_webhook)]
Subnet: TypeAlias = Annotated[str, AfterValidator(_check_subnet)]
OptionalSocketUrl: TypeAlias = Annotated[str, AfterValidator(_check_socket)]
OptionalProxy: TypeAlias = Annotated[SecretStr, AfterValidator(_check_proxy)]
OptionalDatabaseUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_check_database)]
OptionalSpaceId: TypeAlias = Annotated[str, AfterValidator(_check_space)]
Language: TypeAlias = Annotated[str, AfterValidator(_check_language)]
Admin: TypeAlias = Annotated[str, AfterValidator(_check_admin)]
Rule: TypeAlias = Annotated[str, AfterValidator(_check_rule)]
Limit: TypeAlias = Annotated[int, Field(ge=0)]
"""0 means no limit; any larger number is legal."""
