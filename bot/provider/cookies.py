"""Cookies that a server sets for itself, such as those by which a load balancer finds a replica."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http.cookies import Morsel
from typing import Any

MAX_COOKIES = 50
MAX_COOKIE_CHARS = 4096
"""Of one, as in browsers. What is beyond these is not kept."""


class Cookies:
    """Cookies of one server and one caller, sent back to that server and to no other.

    A call works on its own (`for_call`): a cookie that a call beside it is given leads to another
    replica, which does not know this call.
    """

    def __init__(self) -> None:
        self._shared: Cookies | None = None
        self._kept: dict[tuple[str, str], tuple[str, float]] = {}

    def for_call(self) -> Cookies:
        """What is known now; what the call learns, later calls begin with."""
        own = Cookies()
        own._shared, own._kept = self, dict(self._kept)
        return own

    def header(self, path: str) -> str:
        """The value of `Cookie` for a path; `""` if there is nothing to send."""
        if not self._kept:
            return ""
        now = time.time()
        return "; ".join(
            f"{name}={value}"
            for (name, where), (value, until) in self._kept.items()
            if now < until and _within(path, where)
        )

    def remember(self, cookies: Mapping[str, Morsel[Any]]) -> None:
        """Take over what an answer sets; a domain means nothing, as no other host is asked."""
        for name, cookie in cookies.items():
            key, until = (name, cookie["path"] or "/"), _until(cookie)
            self._kept.pop(key, None)
            too_much = len(name) + len(cookie.coded_value) > MAX_COOKIE_CHARS
            if until > time.time() and not too_much and len(self._kept) < MAX_COOKIES:
                self._kept[key] = cookie.coded_value, until
        if self._shared is not None:
            self._shared.remember(cookies)


def _within(path: str, where: str) -> bool:
    """RFC 6265, section 5.1.4."""
    path = path.partition("?")[0]
    return path == where or (
        path.startswith(where) and (where[-1] == "/" or path[len(where)] == "/")
    )


def _until(cookie: Morsel[Any]) -> float:
    """Unix time at which a cookie ends; one without an end stays as long as the provider."""
    try:
        if age := cookie["max-age"]:
            return time.time() + float(age)
        if expires := cookie["expires"]:
            return parsedate_to_datetime(expires.replace("-", " ")).timestamp()
    except (ValueError, OverflowError):
        pass
    return float("inf")
