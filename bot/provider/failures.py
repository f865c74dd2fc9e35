"""What a Space says when it refuses or fails, as typed errors; pure.

The wordings are those of the `spaces` package 0.30 to 0.51 (ZeroGPU) and of Gradio 4.44 to 6.31.
Titles came with Gradio 5.12, so the text alone has to be enough.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from bot.errors import (
    BadInput,
    GenerationCancelled,
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
from bot.provider import json_text
from bot.provider.gradio_events import Cancelled, Completed, Event, Failed, UnexpectedError
from bot.provider.words import plain

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
_NO_GPU_WORDS = ("no gpu was available", "zerogpu queue timeout", "expired zerogpu proxy token")
_BAD_VALUE = re.compile(
    r"value .{1,200} is (?:greater|less) than (?:the )?(?:maximum|minimum) value"
    r"|requested gpu duration .{1,80} is larger than the maximum"
    r"|value: .{1,200} is not in the list of choices",
    re.IGNORECASE | re.DOTALL,
)

_LONGEST = 1_000_000.0
"""Seconds, more than eleven days: no server means that when it asks for patience."""


def failure(text: str, title: str = "") -> ProviderError:  # noqa: PLR0911 - one per outcome
    """The error for what a function of the Space said.

    Args:
        text: its words, HTML removed; `""` if it said nothing.
        title: the heading, if there was one.
    """
    words = f"{title}\n{text}".lower()
    said = text.rstrip()
    if any(part in words for part in _NO_GPU_WORDS):
        return NoGpu(f"The Space has no GPU for this request: {said}", retry_after=wait_in(text))
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


def ending(last: Event | None) -> ProviderError | None:
    """The error for the event with which a stream ended; `None` if that is the answer.

    Args:
        last: `None` if the stream broke off.
    """
    match last:
        case Completed():
            return None
        case Failed(text=text, title=title):
            return failure(text, title)
        case Cancelled():
            return GenerationCancelled("The Space says that the request was cancelled.")
        case UnexpectedError(session_not_found=True):
            return StreamLost("The Space has forgotten the request; it was probably restarted.")
        case UnexpectedError(message=message):
            return StreamLost(f"The Space broke off: {message}")
        case _:
            return StreamLost("The Space ended the stream before the answer was complete.")


def _quota(text: str) -> QuotaExceeded:
    requested = left = None
    if match := _QUOTA.search(text):
        first, second = int(match["first"]), int(match["second"])
        requested, left = (first, second) if match["word"] == "requested" else (second, first)
    return QuotaExceeded(
        f"The GPU quota for this Space is used up: {text}",
        retry_after=wait_in(text),
        requested=requested,
        left=left,
    )


def wait_in(text: str) -> float | None:
    """Seconds until the next try, from words such as `Try again in 1 day, 2:03:04`."""
    match = _WAIT.search(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def refusal(  # noqa: PLR0911 - one per outcome
    status: int, body: bytes, headers: Mapping[str, str], host: str
) -> ProviderError:
    """The error for an HTTP answer of 300 and above, from Gradio or from a proxy in front of it.

    Args:
        status: HTTP status.
        body: its first bytes; Gradio writes JSON with `detail`.
        headers: for `Retry-After` (RFC 9110, section 10.2.3), seconds or a date.
        host: who answered, for people.
    """
    detail = _detail(body)
    retry_after = _wait_until(headers.get("Retry-After", ""))
    if "queue is full" in detail.lower():
        return QueueFull("The Space takes no more requests for now.", retry_after=retry_after)
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
        return SpaceUnreachable(f"{host} redirects elsewhere, which is not followed.")
    return SpaceUnreachable(f"{host} answers with HTTP {status}.", retry_after=retry_after)


def too_large(size: int, limit: int | None, said: str = "") -> ImageTooLarge:
    """The error for a picture above the Space's own limit (`max_file_size` in `/config`)."""
    if limit is None:
        return ImageTooLarge(f"The picture is too large for the Space. {said}".rstrip())
    return ImageTooLarge(f"The picture has {size} bytes; this Space takes {limit} at most.")


def _detail(body: bytes) -> str:
    """Gradio's words, or `""` for the HTML of a proxy or the traceback that 5.50 sends."""
    try:
        answer = json_text.loads(body)
    except ValueError:
        return ""
    detail: Any = answer.get("detail", "") if isinstance(answer, dict) else ""
    if isinstance(detail, dict):
        detail = detail.get("error", "")
    if isinstance(detail, list):
        detail = "; ".join(_mistake(part) for part in detail if isinstance(part, dict))
    return plain(detail) if isinstance(detail, str) else ""


def _mistake(part: dict[str, Any]) -> str:
    """One complaint of FastAPI's, with the name of the value; `loc` is the way to it."""
    match part:
        case {"loc": [*_, name], "msg": what}:
            return f"{name}: {what}"
        case _:
            return str(part.get("msg", ""))


def _wait_until(text: str) -> float | None:
    """Seconds from now, for a number of them or a date; `None` for anything else.

    A date that is over means now, and one that is further away than `_LONGEST` nothing.
    """
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text, re.ASCII):
        return float(text)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < _LONGEST else None
