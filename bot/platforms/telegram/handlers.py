"""Hands what people do on Telegram to the core, and says at once what needs no turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog
from cachetools import TTLCache
from telegram import Bot, CallbackQuery, ChatMember, Message, Update, User
from telegram.error import TelegramError

from bot.actions import Action, Verb
from bot.models import Ask, ChannelKey, IncomingMessage, Notice
from bot.platforms.telegram.client import PLATFORM, TelegramTarget
from bot.platforms.telegram.inline import Inline
from bot.platforms.telegram.notices import Listener, Notices
from bot.platforms.telegram.parsing import (
    ParsedCallback,
    ParsedMessage,
    new_prompt_question,
    parse_callback,
    parse_message,
    with_new_prompt,
)
from bot.platforms.telegram.server_state import ServerState
from bot.support import skipped_when_broken
from bot.turns.commands import Command, CommandError, Export, Forget, Help, ShowSettings
from bot.turns.dispatcher import Dispatcher

_log = structlog.get_logger(__name__)

_FOR_MODERATORS: Final = (Export, Forget, ShowSettings)
_MODERATING_VERBS: Final = frozenset({Verb.SET, Verb.FORGET, Verb.STOP, Verb.DELETE})
"""What may need a right in the group; only for these is Telegram asked who administers it."""
_LEFT: Final = frozenset({ChatMember.LEFT, ChatMember.BANNED})

_ADMINS: Final = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR})
_ADMIN_MEMORY_SECONDS: Final = 300.0
"""How long an answer counts; rights seldom change."""
_MAX_ADMIN_ANSWERS: Final = 1000
_ADMIN_TIMEOUT_SECONDS: Final = 10.0
"""How long Telegram may take to say whether somebody administers a group."""


class Handlers:
    """Takes in updates that the client library has read; `inline` handles those of inline mode."""

    def __init__(
        self,
        bot: Bot,
        dispatcher: Dispatcher,
        state: ServerState,
        notices: Notices,
        inline: Inline | None = None,
    ) -> None:
        self._bot = bot
        self._dispatcher = dispatcher
        self._state = state
        self._notices = notices
        self._admins = ChatAdmins(bot)
        self._inline = inline

    async def take(self, update: Update, album: Sequence[Message] = ()) -> None:
        """Commit an update: when this returns, it is safe to forget it.

        Args:
            update: as Telegram delivered it.
            album: all items of an album that is to be one request; `update` has one of them.

        Raises:
            StorageError: nothing could be written down; to be called again.

        Cancelling: likewise.
        """
        if (message := update.message) is not None:
            for item in album or [message]:
                self._state.saw(item.chat_id, item.message_id)
            if (new := message.migrate_to_chat_id) is not None:
                await self._move(message.chat_id, new)
            await self._message(album or [message])
        elif update.edited_message is not None:
            await self._edited(update.edited_message)
        elif update.callback_query is not None:
            await self._pressed(update.callback_query)
        elif update.inline_query is not None and self._inline is not None:
            self._inline.offer(update.inline_query)
        elif update.chosen_inline_result is not None and self._inline is not None:
            await self._inline.chosen(update.chosen_inline_result)
        elif (change := update.my_chat_member) is not None:
            status = change.new_chat_member.status
            what = "bot removed from chat" if status in _LEFT else "bot added to chat"
            _log.info(what, chat=change.chat.id, status=status)

    async def _move(self, old: int, new: int) -> None:
        """A group became a supergroup, which has an id of its own."""
        await self._dispatcher.moved(
            ChannelKey(PLATFORM, (str(old),)), ChannelKey(PLATFORM, (str(new),))
        )
        self._state.moved[old] = new

    async def _message(self, items: Sequence[Message]) -> None:
        parsed = parse_message(items, self._bot.bot)
        if parsed is None:
            return
        message, command, draws = parsed.message, parsed.command, parsed.draws
        if draws is not None:
            command = await self._new_prompt(command, draws)
        if isinstance(command, CommandError):
            words = await self._dispatcher.words(message)
            self._answer(parsed, Notice(command.said_in(words)))
            return
        if draws is not None:
            # Only the person who was asked may answer.
            refused = await self._dispatcher.press(message, Action(Verb.EDIT, draws))
            if refused is not None:
                self._notices.say(parsed.target, refused)
                return
        if isinstance(command, _FOR_MODERATORS):
            message = replace(message, moderator=await self._admins.has(message))
        notice = await self._dispatcher.handle(message, command)
        if notice is not None:
            await self._show(parsed, command, notice)
        elif parsed.stills:
            words = await self._dispatcher.words(message)
            self._notices.say(parsed.target, Notice(words("telegram-still")))

    async def _edited(self, message: Message) -> None:
        parsed = parse_message([message], self._bot.bot)
        if parsed is None:
            return
        command = parsed.command
        if parsed.draws is not None:
            command = await self._new_prompt(command, parsed.draws)
        if isinstance(command, CommandError):
            return  # the first wording stands
        # An item of an album says nothing of the other items.
        files = () if message.media_group_id else parsed.message.attachments
        await self._dispatcher.edited(replace(parsed.message, attachments=files), command)

    async def _new_prompt(
        self, command: Command | CommandError, draws: str
    ) -> Command | CommandError:
        """The drawing that the answer to a question for a new prompt asks for."""
        if not isinstance(command, Ask):
            return command
        drawing = await self._dispatcher.drawing(draws)
        if drawing is None:
            return CommandError("press-gone")
        try:
            return with_new_prompt(drawing, command.question)
        except CommandError as error:
            return error

    async def _show(self, parsed: ParsedMessage, command: Command, notice: Notice) -> None:
        if isinstance(command, Help):
            self._notices.help(parsed.target, notice)
        elif isinstance(command, Export) and notice.files:
            await self._send_privately(parsed, notice)
        else:
            self._answer(parsed, notice)

    async def _pressed(self, query: CallbackQuery) -> None:
        press, notice = parse_callback(query), None
        if press is not None:
            with skipped_when_broken(_log, "press skipped", query=query.id):
                notice = await self._press(press, query.from_user)
        # Whatever went wrong: a press without an answer leaves the button spinning.
        target = None if press is None else press.target
        self._notices.answer(Listener(query.from_user.id, query.id), target, notice)

    async def _press(self, press: ParsedCallback, user: User) -> Notice | None:
        message, action = press.message, press.action
        if action is None:
            words = await self._dispatcher.words(message)
            return Notice(words("press-gone"))
        if action.verb in _MODERATING_VERBS:
            message = replace(message, moderator=await self._admins.has(message))
        if action.verb is Verb.FORGET:
            self._state.pictures.pop(user.id, None)
        notice = await self._dispatcher.press(message, action)
        if notice is not None or action.verb is not Verb.EDIT:
            return notice
        words = await self._dispatcher.words(message)
        drawing = await self._dispatcher.drawing(action.target)
        if drawing is None:
            return Notice(words("press-gone"))
        asked = None if press.target.private else user
        question, field = new_prompt_question(words, drawing, action.target, asked)
        self._notices.ask(press.target, question, field)
        return None

    def _answer(self, parsed: ParsedMessage, notice: Notice) -> None:
        """Answer a message. Behind a channel there is no single person who could be told alone."""
        person = parsed.message.person.id
        listener = Listener(int(person)) if person.isdecimal() else None
        self._notices.say(parsed.target, notice, listener)

    async def _send_privately(self, parsed: ParsedMessage, notice: Notice) -> None:
        """An export goes to the person who asked for it, not to everybody in the chat."""
        words = await self._dispatcher.words(parsed.message)
        person, here = parsed.message.person.id, parsed.target
        if here.private or not person.isdecimal():
            self._notices.say(here, notice)
            return
        self._notices.send_privately(
            int(person),
            notice,
            here,
            sent=Notice(words("telegram-handed-over")),
            refused=Notice(words("telegram-write-first", bot=f"@{self._bot.username}")),
        )


class ChatAdmins:
    """Asks Telegram who administers a group, and remembers it for some minutes."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._answers: TTLCache[tuple[int, int], bool] = TTLCache(
            _MAX_ADMIN_ANSWERS, _ADMIN_MEMORY_SECONDS
        )

    async def has(self, message: IncomingMessage) -> bool:
        """Whether the author administers the chat. In private everybody does; when in doubt, no."""
        target = TelegramTarget(**message.address.data)
        who = message.person.id
        if target.private or who == str(target.chat_id):
            return True  # an administrator who stays unnamed writes as the group itself
        if not who.isdecimal():
            return False  # who is behind a channel, nobody knows
        key = (target.chat_id, int(who))
        if (known := self._answers.get(key)) is not None:
            return known
        try:
            member = await self._bot.get_chat_member(*key, read_timeout=_ADMIN_TIMEOUT_SECONDS)
        except TelegramError as error:
            _log.warning("administrators not known", chat=target.chat_id, error=str(error))
            return False
        answer = self._answers[key] = member.status in _ADMINS
        return answer
