"""What the page is told of a message or a press: that it was taken, or why it was not."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import suppress

import structlog
from aiohttp import web

from bot.errors import BotError, StorageError
from bot.i18n import Words
from bot.models import IncomingMessage, JsonObject
from bot.platforms.web import notices
from bot.platforms.web.handouts import Handouts
from bot.platforms.web.markup import Markup
from bot.turns import answers
from bot.turns.commands import CommandError
from bot.turns.inbox import Inbox, Notice

log = structlog.get_logger(__name__)


class Answers:
    """Makes answers of what the bot says at once.

    Args:
        markup: renders Markdown.
        handouts: gives files out.
    """

    def __init__(self, markup: Markup, handouts: Handouts) -> None:
        self._markup = markup
        self._handouts = handouts

    async def after(
        self,
        inbox: Inbox,
        message: IncomingMessage,
        answer: Awaitable[Notice | None],
        words: Words,
    ) -> web.Response:
        """Wait for what the bot says, and tell the page.

        Args:
            inbox: knows the language of the room.
            message: what was taken in.
            answer: what the inbox does with it.
            words: the visitor's language.
        """
        try:
            notice = await answer
            said = (
                None
                if notice is None
                else await notices.to_json(notice, self._markup, self._handouts)
            )
        except CommandError as error:
            return await misused(inbox, message, error, words)
        except (BotError, OSError) as error:
            log.warning("message not taken", error=str(error))
            return refusal(503, reason(error, words))
        return taken(message, notice=said)


def taken(
    message: IncomingMessage, notice: JsonObject | None = None, compose: str | None = None
) -> web.Response:
    """Tell the page that something was taken in.

    Args:
        message: what.
        notice: what the bot says at once.
        compose: a message to be changed and sent by the person.
    """
    body = {"message": message.message_id, "notice": notice, "compose": compose}
    return web.json_response(body, status=202)


def refusal(status: int, text: str) -> web.Response:
    """Tell the page, in a sentence for the person, why something was not taken in."""
    return web.json_response({"error": text}, status=status)


async def misused(
    inbox: Inbox, message: IncomingMessage, error: CommandError, words: Words
) -> web.Response:
    """Tell how a command is written."""
    with suppress(StorageError):
        words = await inbox.words(message)
    return refusal(422, error.said_in(words))


async def gone(inbox: Inbox, message: IncomingMessage) -> Notice:
    """The answer to a press of a button that means nothing any more."""
    return Notice((await inbox.words(message))("press-gone"))


def reason(error: BotError | OSError, words: Words) -> str:
    """What went wrong behind the chat, for people; the log has the rest."""
    return answers.reason(error if isinstance(error, BotError) else StorageError(), words)
