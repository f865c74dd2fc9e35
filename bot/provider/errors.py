"""What went wrong, as one of the bot's errors: the Space's own words, an HTTP status, the network.

The wordings are those of the `spaces` package 0.30 to 0.51 (ZeroGPU) and of Gradio 4.44 to 6.31.
Titles came with Gradio 5.12, so the text alone has to be enough.
"""

from __future__ import annotations

import asyncio
import errno
import html
import re
import sys
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bot.errors import (
    BadInput,
    CredentialsRefused,
    GenerationFailed,
    GpuAborted,
    ImageTooLarge,
    NoGpu,
    ProviderError,
    QueueFull,
    QuotaExceeded,
    SpaceBroken,
    SpaceNotFound,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider.json import parse_json
from bot.redaction import redacted

MAX_TEXT_CHARS = 2000
"""Kept of any text that a Space says about itself."""
_MAX_RETRY_AFTER_SECONDS = 1_000_000.0
"""More than eleven days: no server means that when it asks for patience."""

_QUOTA = re.compile(
    r"quota.*?\((?P<first>\d+)s (?P<word>requested|left) vs\. (?P<second>\d+)s (?:left|requested)",
    re.IGNORECASE | re.DOTALL,
)
_WAIT = re.compile(
    r"(?:try again|retry) (?:in|after) (?:(?P<days>\d+) days?, )?"
    r"(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)",
    re.IGNORECASE,
)
_QUOTA_WORDS = (
    "gpu quota",
    "runs limit",
    "reached its gpu limit",
    "too many zerogpu credits",
)
_QUOTA_TITLES = ("zerogpu quota exceeded", "zerogpu pending credits exceeded")
_NO_GPU = re.compile(
    r"no gpus? (?:(?:was|were|is|are) )?(?:currently )?(?:available|free)"
    r"|zerogpu queue timeout|expired zerogpu proxy token",
    re.IGNORECASE,
)
"""Until 2024 it was "No GPU is currently available", with or without "for you after 60s"."""
_BAD_VALUE = re.compile(
    r"value .{1,200} is (?:greater|less) than (?:the )?(?:maximum|minimum) value"
    r"|requested gpu duration .{1,80} is larger than the maximum"
    r"|value: .{1,200} is not in the list of choices",
    re.IGNORECASE | re.DOTALL,
)
_RESET = {errno.ECONNRESET, errno.EPIPE, None}
"""Aiohttp's own `ClientConnectionResetError` has no number."""
_BAD_TOKEN = re.compile(r"invalid (?:credentials|token|username)|token.*expired", re.IGNORECASE)
_NO_ADMISSION = "An access token is needed"
"""With which `janus-bot space` answers whoever shows none, or another."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What moves the cursor of a terminal, or worse; lines and tabs may stay."""


def function_error(text: str, title: str = "") -> ProviderError:  # noqa: PLR0911 - one per outcome
    """The error for what a function of the Space said when it failed.

    Args:
        text: its words, as `plain_text` gives them; `""` if it said nothing.
        title: the heading, if there was one.
    """
    words = f"{title}\n{text}".lower()
    said = text.rstrip()
    if _NO_GPU.search(words):
        return NoGpu(f"The Space has no GPU for this request: {said}", retry_after=_wait_in(text))
    if title.lower() in _QUOTA_TITLES or any(part in words for part in _QUOTA_WORDS):
        return _quota(said)
    if "gpu task aborted" in words:
        return GpuAborted("The Space stopped the GPU task: it took too long or was killed.")
    if _BAD_VALUE.search(words):
        return BadInput(f"The Space refused a value: {said}")
    if not said or said == "Error":
        return GenerationFailed("The Space failed and did not say why.")
    if title == "ZeroGPU worker error":
        return GenerationFailed(f"The Space failed with an internal error ({said}).")
    return GenerationFailed(f"The Space said: {said}")


def _quota(text: str) -> QuotaExceeded:
    requested = left = None
    if match := _QUOTA.search(text):
        first, second = int(match["first"]), int(match["second"])
        requested, left = (first, second) if match["word"] == "requested" else (second, first)
    return QuotaExceeded(
        f"The GPU quota for this Space is used up: {text}",
        retry_after=_wait_in(text),
        requested=requested,
        left=left,
    )


def _wait_in(text: str) -> float | None:
    """Seconds until the next try, from words such as `Try again in 1 day, 2:03:04`."""
    match = _WAIT.search(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def http_error(  # noqa: PLR0911 - one per outcome
    status: int, body: bytes, headers: Mapping[str, str], host: str
) -> ProviderError:
    """The error for an HTTP status of 300 and above, from Gradio or from a proxy in front of it.

    Args:
        status: HTTP status.
        body: Gradio's is JSON with `detail`.
        headers: for `Retry-After` (RFC 9110, section 10.2.3), seconds or a date.
        host: who answered, for people.
    """
    detail = _detail(body)
    retry_after = _retry_after(headers.get("Retry-After", ""))
    if "queue is full" in detail.lower():
        return QueueFull("The Space takes no more requests for now.", retry_after=retry_after)
    if status == HTTPStatus.UNAUTHORIZED and detail.startswith(_NO_ADMISSION):
        return SpaceNotFound(
            f"{host} does not let the bot in: set access_token of this Space, under [[spaces]], to "
            "the --access-token that it was started with."
        )
    if status == HTTPStatus.UNAUTHORIZED and _BAD_TOKEN.search(_hub_error(body)):
        return credentials_refused(host, "hf_token of this Space, under [[spaces]]")
    if status in {401, 403}:
        return SpaceNotFound(f"{host} does not let the bot in: it is private or has a login.")
    if status in {404, 410}:
        return SpaceNotFound(f"There is no such Space at {host}.")
    if status in {400, 422}:
        return BadInput(f"The Space refused the request: {detail or status}")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return QueueFull(f"{host} asks to send less.", retry_after=retry_after)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return SpaceBroken(f"The Space at {host} has an internal error.")
    if status < HTTPStatus.BAD_REQUEST:
        return redirected(host, headers.get("Location", ""))
    return SpaceUnreachable(f"{host} answers with HTTP {status}.", retry_after=retry_after)


def redirected(host: str, location: str) -> SpaceUnreachable:
    """The error for a redirect that is not followed; names where it leads, without a query."""
    there = plain_text(location.partition("?")[0].rpartition("@")[2])[:200]
    return SpaceUnreachable(
        f"{host} redirects elsewhere, which is not followed. It names {there or 'nothing'!r}; if "
        "that is the Space, configure its address instead."
    )


def _detail(body: bytes) -> str:
    """Gradio's words; `""` for the HTML of a proxy or the traceback that 5.50 sends."""
    answer = parse_json(body)
    detail: Any = answer.get("detail", "") if isinstance(answer, dict) else ""
    if isinstance(detail, dict):
        detail = detail.get("error", "")
    if isinstance(detail, list):
        detail = "; ".join(_complaint(part) for part in detail if isinstance(part, dict))
    return plain_text(detail) if isinstance(detail, str) else ""


def _hub_error(body: bytes) -> str:
    """What Hugging Face says in front of a Space."""
    answer = parse_json(body)
    error = answer.get("error") if isinstance(answer, dict) else ""
    return error if isinstance(error, str) else ""


def _complaint(part: dict[str, Any]) -> str:
    """One of FastAPI's, with the name of the value; `loc` is the way to it."""
    match part:
        case {"loc": [*_, name], "msg": what}:
            return f"{name}: {what}"
        case _:
            return str(part.get("msg", ""))


def _retry_after(text: str) -> float | None:
    """Seconds from now, for a number of them or a date; `None` for anything else.

    A date that is over means now; one too far away means nothing.
    """
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < _MAX_RETRY_AFTER_SECONDS else None


def credentials_refused(who: str, key: str) -> CredentialsRefused:
    """The error for a token that is expired or mistyped.

    Args:
        who: does not accept it, for people.
        key: where to change it, for people.
    """
    return CredentialsRefused(
        f"{who} does not accept the token: it is expired or mistyped. Change {key}; "
        "https://huggingface.co/settings/tokens makes a new one."
    )


def image_too_large(size: int, limit: int | None) -> ImageTooLarge:
    """The error for a picture above the limit of a Space, or of a proxy in front of it.

    Args:
        size: bytes.
        limit: bytes, `max_file_size` in `/config`; `None` if nobody said.
    """
    if limit is None:
        return ImageTooLarge("The picture is too large for the Space.")
    return ImageTooLarge(f"The picture has {size} bytes; this Space takes {limit} at most.")


def network_exceptions() -> tuple[type[BaseException], ...]:
    """What a request may raise besides the bot's own errors, for an `except` clause."""
    always = (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError)
    # aiohttp-socks raises plain exceptions, and is imported only where it is used. It lets an
    # `IncompleteReadError` through when the proxy hangs up in the middle of the greeting.
    socks = sys.modules.get("aiohttp_socks")
    if socks is None:
        return always
    of_socks = (socks.ProxyError, socks.ProxyConnectionError, socks.ProxyTimeoutError)
    return (*always, *of_socks, asyncio.IncompleteReadError)


def network_error(error: BaseException, host: str, *, streaming: bool = False) -> ProviderError:
    """The bot's error for one of `network_exceptions`.

    Args:
        error: what was raised. Its own text is not used: it may hold addresses with secrets.
        host: who was asked, for people.
        streaming: an event stream was being read, so the request itself had been taken.
    """
    if streaming:
        if isinstance(error, TimeoutError):
            return StreamLost("The Space fell silent in the middle of the request.")
        return StreamLost("The connection to the Space broke before the answer was complete.")
    match error:
        case aiohttp.InvalidURL():
            text = f"{host!r} is not an address that can be asked."
        case (
            aiohttp.ClientProxyConnectionError()
            | aiohttp.ClientHttpProxyError()
            | asyncio.IncompleteReadError()
        ):
            text = f"The proxy on the way to {host} does not work."
        case aiohttp.ClientConnectorDNSError():
            text = f"The name {host} is not known."
        case aiohttp.ClientSSLError() | aiohttp.ServerFingerprintMismatch():
            text = f"The encrypted connection to {host} fails."
        case TimeoutError():
            text = f"{host} does not answer in time."
        case _ if type(error).__module__.startswith("aiohttp_socks"):
            text = f"The proxy on the way to {host} does not work."
        case _:
            text = f"{host} cannot be reached."
    return SpaceUnreachable(text)


def was_closed(error: ProviderError) -> bool:
    """Whether the connection was closed already when the request was to be sent on it."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _RESET


def unquote(text: str) -> str:
    """Undo `repr`: up to 5.1 Gradio sends the text of an error in quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return re.sub(r"\\(['\"\\])", r"\1", text[1:-1]).replace(r"\n", "\n")
    return text


def plain_text(text: str) -> str:
    """What a Space said, safe to show: no HTML, no secrets, `MAX_TEXT_CHARS` at most.

    A link keeps its address in brackets.
    """
    text = redacted(text)[: 4 * MAX_TEXT_CHARS]
    if "<" in text:
        reader = _HtmlReader()
        reader.feed(text)
        reader.close()
        text = "".join(reader.pieces)
    elif "&" in text:
        text = html.unescape(text)
    text = redacted(_CONTROL.sub("", text))  # markup can have split a secret
    # JSON can hold halves of surrogate pairs, which could be sent nowhere.
    return text.strip()[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()


class _HtmlReader(HTMLParser):
    """Collects the text of a fragment of HTML."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            address = dict(attrs).get("href") or ""
            self._link = address if address.startswith(("https://", "http://")) else ""
        elif tag in {"br", "p", "div"}:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._link:
            self.pieces.append(f" ({self._link})")
            self._link = ""

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)
