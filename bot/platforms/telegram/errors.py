"""What errors of the client library mean for the bot.

Statuses and texts are those of the official Bot API server (10.0). The client library capitalises
the texts, so they are compared in lower case.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import httpx
import structlog
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot.errors import (
    ContentRefused,
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    RateLimited,
    SurfaceError,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.support import Backoff

_log = structlog.get_logger(__name__)

REFUSED: Final = (
    "Telegram does not accept the bot token. "
    "Get a new one from @BotFather and put it into [telegram] token."
)


class Request(enum.Enum):
    """What was asked of Telegram; the same refusal means different things."""

    CREATE = enum.auto()
    EDIT = enum.auto()
    DELETE = enum.auto()
    PREVIEW = enum.auto()


_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)
"""Nothing of the request reached Telegram."""

_FORBIDDEN: Final = {
    "bot was blocked by the user": "blocked",
    "user is deactivated": "deactivated",
    "bot can't initiate conversation": "write-first",
    "bot was kicked": "kicked",
    "bot is not a member": "no-member",
    "group chat was deleted": "deleted",
}
_NO_RIGHTS: Final = {
    "not enough rights to send photos": "photos",
    "chat_send_photos_forbidden": "photos",
    "not enough rights to send documents": "files",
    "chat_send_docs_forbidden": "files",
    "chat_send_media_forbidden": "pictures",
    "not enough rights": "right",
    "have no rights to send": "writing",
    "chat_write_forbidden": "writing",
    "topic_closed": "topic-closed",
    "message thread not found": "topic-gone",
    "chat not found": "gone",
}
"""What Telegram says, and the sentence `telegram-forbidden-…` of the catalogue that helps."""
_FILE_RIGHTS: Final = ("photos", "files", "pictures")
_GONE: Final = ("message to edit not found", "message can't be edited", "message_id_invalid")
_NOT_A_PHOTO: Final = ("photo_invalid_dimensions", "image_process_failed", "photo_ext_invalid")
_NO_DRAFTS: Final = ("textdraft_peer_invalid", "peer_id_invalid")


def seconds_to_wait(error: RetryAfter) -> float:
    """How long a flood wait lasts."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else float(wait)


def pause_after(error: TelegramError, backoff: Backoff) -> float:
    """Log trouble with receiving updates; returns the seconds to wait before the next try."""
    what = "telegram cannot be reached"
    pause = seconds_to_wait(error) if isinstance(error, RetryAfter) else backoff.next()
    if isinstance(error, Conflict):  # only one program can have the updates
        what = "another instance is running with this token"
        if "webhook" in error.message.lower():
            what = "another program receives this token's messages by webhook"
    _log.warning(what, error=str(error), next_try=pause)
    return pause


def is_unknown_method(error: TelegramError) -> bool:
    """Whether this server has no such method; a refused token is something else, a 401."""
    text = error.message.lower()
    if isinstance(error, InvalidToken):
        return text.startswith("not found")
    return isinstance(error, BadRequest) and "method not found" in text


def is_not_a_photo(error: BadRequest) -> bool:
    """Whether Telegram takes this picture here, if at all, as a file only."""
    return _names(error, _NOT_A_PHOTO) or lacks_right_to_files(error)


def lacks_right_to_files(error: BaseException | None) -> bool:
    """Whether the bot may write in this group, but may not send files like these."""
    return isinstance(error, BadRequest) and _why(error, _NO_RIGHTS) in _FILE_RIGHTS


def is_too_late(error: TelegramError) -> bool:
    """Whether a press was answered too late; whoever pressed is no longer waiting."""
    return isinstance(error, BadRequest) and "query is too old" in error.message.lower()


def is_without_drafts(error: TelegramError) -> bool:
    """Whether this chat cannot show drafts."""
    return isinstance(error, BadRequest) and _names(error, _NO_DRAFTS)


@contextmanager
def translated(request: Request) -> Iterator[None]:
    """Turn every `TelegramError` into a `SurfaceError`, or into success if nothing is left to do.

    `ChatMigrated` passes: whoever sends knows how to follow a group that moved.
    """
    try:
        yield
    except ChatMigrated:
        raise
    except TelegramError as error:
        failure = surface_error(error, request)
        if failure is not None:
            raise failure from error


def surface_error(error: TelegramError, request: Request) -> SurfaceError | None:
    """What a failure means for a reply; `None` if the chat is already as it was meant to be."""
    match error:
        case RetryAfter():
            return RateLimited(seconds_to_wait(error))
        case Forbidden():
            return _forbidden(error, _why(error, _FORBIDDEN) or "")
        case BadRequest():
            return _bad_request(error, request)
        case InvalidToken() if request is Request.PREVIEW and is_unknown_method(error):
            return PreviewUnsupported("This Telegram server has no drafts.")
        case InvalidToken():
            # Polling ends with `TokenRefused`; what is owed stays owed until there is a new token.
            return SurfaceUnavailable("Telegram does not accept the bot token.")
        case _:
            return _unanswered(error, request)


def _bad_request(error: BadRequest, request: Request) -> SurfaceError | None:
    text = error.message.lower()
    if why := _why(error, _NO_RIGHTS):
        return _forbidden(error, why)
    if request is Request.EDIT and "message is not modified" in text:
        return None
    if request is Request.EDIT and _names(error, _GONE):
        return MessageGone("The message was deleted on Telegram.")
    if request is Request.DELETE and "message to delete not found" in text:
        return None
    if request is Request.PREVIEW and (is_without_drafts(error) or is_unknown_method(error)):
        return PreviewUnsupported("This Telegram chat has no drafts.")
    return ContentRefused(f"Telegram refused the message: {error.message}.")


def _unanswered(error: TelegramError, request: Request) -> SurfaceError:
    """No answer, an unreadable one, or a 5xx: the request may have been carried out anyway."""
    never_sent = isinstance(error.__cause__, _NEVER_SENT)
    if not never_sent and request in {Request.CREATE, Request.EDIT}:
        return DeliveryUnknown("Telegram did not answer; the message may be there.")
    if isinstance(error, TimedOut):
        return SurfaceUnavailable("Telegram did not answer in time.")
    return SurfaceUnavailable(f"Telegram cannot be reached: {error.message}.")


def _forbidden(error: TelegramError, why: str) -> SurfaceForbidden:
    return SurfaceForbidden(
        f"Telegram does not let the bot write here: {error.message}.",
        why and f"telegram-forbidden-{why}",
    )


def _names(error: TelegramError, texts: tuple[str, ...]) -> bool:
    return any(text in error.message.lower() for text in texts)


def _why(error: TelegramError, reasons: dict[str, str]) -> str | None:
    return next((why for text, why in reasons.items() if text in error.message.lower()), None)
