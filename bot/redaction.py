"""Secrets, and how they are kept out of whatever is shown, logged or stored.

The one place that knows those of the configuration, used or not. What a Space, a platform or a
library says may hold one: a proxy that prints the headers of a request, for example.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

MIN_SECRET_CHARS = 4
"""Replacing anything shorter would garble ordinary words."""
_MARK = "[secret]"


def secret_parts(text: str) -> Iterator[str]:
    """What of a configured value is secret: of an address, the password and the whole with it."""
    if "://" not in text:
        yield from filter(None, [text])
    elif password := _password(text):
        yield from (text, password, unquote(password))


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""  # whatever it is, it is no address


class Redactor:
    """Puts `[secret]` in place of each secret, however it was escaped.

    Args:
        secrets: those shorter than `MIN_SECRET_CHARS` are left alone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= MIN_SECRET_CHARS
            for form in (
                secret,
                quote(secret, safe=""),  # in a URL
                json.dumps(secret)[1:-1],  # in a JSON line
                repr(secret)[1:-1],  # in a traceback
                json.dumps(repr(secret)[1:-1])[1:-1],  # in a traceback in a JSON line
                *_basic(secret),
            )
        }
        # The longest first, so that a secret within another leaves no part of the longer one.
        self._forms = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._forms))) if forms else None
        self._first = {form[0] for form in forms}

    def __call__(self, text: str) -> str:
        return self._pattern.sub(_MARK, text) if self._pattern else text

    def pending(self, text: str) -> int:
        """How many characters at the end of a text that still grows may begin a secret."""
        if self._pattern is None:
            return 0
        tail = text[1 - len(self._forms[0]) :]
        for start, first in enumerate(tail):
            if first in self._first and any(
                form.startswith(tail[start:]) and len(form) > len(tail) - start
                for form in self._forms
            ):
                return len(tail) - start
        return 0


def _basic(url: str) -> Iterable[str]:
    """How HTTP sends the user and the password of an address ("Basic")."""
    if match := re.match(r"[\w+.-]+://([^/@]+:[^/@]*)@", url):
        yield b64encode(unquote(match[1]).encode()).decode()


NOTHING_SECRET = Redactor(())
_configured = [NOTHING_SECRET]


def keep_out(secrets: Iterable[str]) -> None:
    """Make these the secrets of the configuration, for all of this process."""
    _configured[0] = Redactor(secrets)


def redacted(text: str) -> str:
    """The text without any secret of the configuration."""
    return _configured[0](text)


def pending(text: str) -> int:
    """See `Redactor.pending`, for the secrets of the configuration."""
    return _configured[0].pending(text)
