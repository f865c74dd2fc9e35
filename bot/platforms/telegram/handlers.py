"""Hands what people do on Telegram to the inbox, and shows what it says at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import structlog
from telegram import Bot, CallbackQuery, ChatMember, ChatMemberUpdated, Message, Update
from telegram.error import TelegramError

from bot.actions import Action, Verb
from bot.errors import BotError, StorageError
from bot.models import Address, Ask, ChannelKey, IncomingMessage
from bot.platforms.telegram.inline import Inline
from bot.platforms.telegram.notices import Listener, Notices
from bot.platforms.telegram.parsing import (
    PLATFORM,
    ParsedMessage,
    parse_message,
    parse_press,
    with_new_prompt,
)
from bot.platforms.telegram.server_state import ServerState
from bot.turns.commands import Command, CommandError, Export, Forget, Help, ShowSettings
from bot.turns.inbox import Inbox, Notice

_log = structlog.get_logger(__name__)

ALLOWED: Final = (
    Update.MESSAGE,
    Update.EDITED_MESSAGE,
    Update.CALLBACK_QUERY,
    Update.MY_CHAT_MEMBER,
)
"""What Telegram shall deliver. It remembers this; posts in channels and messages to businesses are
not among it, because the bot cannot answer them."""

BROKEN: Final = (
    BotError,
    TelegramError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a single update may go wrong with; the others must not wait for it."""

_FOR_MODERATORS = (Export, Forget, ShowSettings)
_MANAGING = frozenset({Verb.SET, Verb.FORGET, Verb.STOP, Verb.DELETE})
"""What may need a right in the group; only for these is Telegram asked who administers it."""

_GONE = frozenset({ChatMember.LEFT, ChatMember.BANNED})


class Handlers:
    """Takes in updates that the client library has read.

    Args:
        bot: initialised client.
        inbox: where they go.
        known: shared by all of the adapter.
        notices: says what is said at once.
        rights: knows who administers a group.
        inline: serves inline mode, if that is on.
    """

    def __init__(
        self,
        bot: Bot,
        inbox: Inbox,
        known: ServerState,
        notices: Notices,
        rights: ChatAdmins,
        inline: Inline | None = None,
    ) -> None:
        self._bot = bot
        self._inbox = inbox
        self._known = known
        self._notices = notices
        self._rights = rights
        self._inline = inline

    async def take(self, update: Update) -> None:
        """Commit an update: when this returns, it is safe to forget it.

        Items of an album are for `messages`, if they are to be one request.

        Raises:
            StorageError: nothing could be written down; to be called again.

        Cancelling: likewise.
        """
        if update.message is not None:
            await self.messages([update.message])
        elif update.edited_message is not None:
            await self._edited(update.edited_message)
        elif update.callback_query is not None:
            await self._pressed(update.callback_query)
        elif update.inline_query is not None and self._inline is not None:
            self._inline.offer(update.inline_query)
        elif update.chosen_inline_result is not None and self._inline is not None:
            await self._inline.chosen(update.chosen_inline_result)
        elif update.my_chat_member is not None:
            _log_membership(update.my_chat_member)

    async def messages(self, items: Sequence[Message]) -> bool:
        """Commit a message, or all items of an album as one. Raises and cancels as `take`.

        Returns:
            Whether it was meant for the bot.
        """
        for item in items:
            self._known.saw(item.chat_id, item.message_id)
        if (new := items[0].migrate_to_chat_id) is not None:
            await self._move(items[0].chat_id, new)
        wish = parse_message(items, self._bot.bot)
        if wish is None:
            return False
        try:
            command = await self._understood(wish)
        except CommandError as error:
            await self._refuse(wish.message, error)
        else:
            await self._carry_out(wish, command)
        return True

    async def _edited(self, message: Message) -> None:
        wish = parse_message([message], self._bot.bot)
        if wish is None or wish.command is None:
            return
        try:
            command = await self._understood(wish)
        except CommandError:
            return  # the first wording stands
        # An item of an album says nothing of the other items.
        files = () if message.media_group_id else wish.message.attachments
        await self._inbox.edited(replace(wish.message, attachments=files), command)

    async def _understood(self, wish: ParsedMessage) -> Command:
        """The command of a wish; the answer to a question for a new prompt becomes a drawing.

        Raises:
            CommandError: why there is none.
        """
        if wish.command is None:
            raise wish.refusal
        if wish.draws is None or not isinstance(wish.command, Ask):
            return wish.command
        drawing = await self._inbox.drawing(wish.draws)
        if drawing is None:
            raise CommandError("press-gone")
        return with_new_prompt(drawing, wish.command.question)

    async def _carry_out(self, wish: ParsedMessage, command: Command) -> None:
        message = wish.message
        if wish.draws is not None:
            # Whoever answers must be who was asked.
            refused = await self._inbox.press(message, Action(Verb.EDIT, wish.draws))
            if refused is not None:
                self._notices.say(message.address, refused)
                return
        if isinstance(command, _FOR_MODERATORS):
            message = await self._with_rights(message)
        notice = await self._inbox.handle(message, command)
        if notice is None:
            if wish.stills:
                words = await self._inbox.words(message)
                self._notices.say(message.address, Notice(words("telegram-still")))
        elif isinstance(command, Help):
            self._notices.help(message.address, notice)
        elif isinstance(command, Export) and notice.files:
            await self._hand_over(message, notice)
        else:
            self._notices.say(message.address, notice, _listener(message))

    async def _pressed(self, query: CallbackQuery) -> None:
        press = parse_press(query)
        if press is None:
            self._notices.acknowledge(query.id)
            return
        message, action = press
        pressed = query.message.message_id if query.message is not None else None
        presser = Listener(query.from_user.id, query.id)
        try:
            notice = await self._press(message, action, query)
        except StorageError:
            raise  # it comes again
        except BROKEN:
            self._notices.answer(presser, message.address, pressed, None)
            raise
        self._notices.answer(presser, message.address, pressed, notice)

    async def _press(
        self, message: IncomingMessage, action: Action | None, query: CallbackQuery
    ) -> Notice | None:
        if action is None:
            words = await self._inbox.words(message)
            return Notice(words("press-gone"))
        if action.verb in _MANAGING:
            message = await self._with_rights(message)
        if action.verb is Verb.FORGET:
            self._known.pictures.pop(query.from_user.id, None)
        notice = await self._inbox.press(message, action)
        if notice is not None or action.verb is not Verb.EDIT:
            return notice
        words = await self._inbox.words(message)
        drawing = await self._inbox.drawing(action.target)
        if drawing is None:
            return Notice(words("press-gone"))
        private = message.address.data["private"]
        person = None if private else query.from_user
        self._notices.ask(
            message.address, *new_prompt_question(words, drawing, action.target, person)
        )
        return None

    async def _with_rights(self, message: IncomingMessage) -> IncomingMessage:
        return replace(message, moderator=await self._rights.manages(message))

    async def _refuse(self, message: IncomingMessage, error: CommandError) -> None:
        words = await self._inbox.words(message)
        self._notices.say(message.address, Notice(error.said_in(words)), _listener(message))

    async def _hand_over(self, message: IncomingMessage, notice: Notice) -> None:
        """Everything that a chat ever said is for whoever asked, and not for the chat."""
        words = await self._inbox.words(message)
        here = message.address
        if here.data["private"] or not message.person.id.isdecimal():
            self._notices.say(here, notice)
            return
        chat = int(message.person.id)
        there = Address(
            PLATFORM,
            str(chat),
            {
                "chat_id": chat,
                "thread_id": None,
                "reply_to": None,
                "private": True,
                "draft_id": 1,
            },
        )
        self._notices.hand_over(
            there,
            notice,
            here,
            sent=Notice(words("telegram-handed-over")),
            refused=Notice(words("telegram-write-first", bot=f"@{self._bot.username}")),
        )

    async def _move(self, old: int, new: int) -> None:
        """A group became a supergroup, which has an id of its own."""
        await self._inbox.moved(
            ChannelKey(PLATFORM, (str(old),)), ChannelKey(PLATFORM, (str(new),))
        )
        self._known.moved[old] = new


def _log_membership(change: ChatMemberUpdated) -> None:
    """Blocked, removed, let in: nothing is to be done, but good to know."""
    status = change.new_chat_member.status
    what = "bot left out" if status in _GONE else "bot let in"
    _log.info(what, chat=change.chat.id, status=status)


def _listener(message: IncomingMessage) -> Listener | None:
    """Whom an answer to a message concerns; nobody that Telegram knows where a channel wrote it."""
    person = message.person.id
    return Listener(int(person)) if person.isdecimal() else None


_REMEMBERED = 300.0
"""Seconds for which an answer counts; rights change seldom."""
_MOST = 1000
"""Answers that are remembered."""
_PATIENCE = 10.0
"""Seconds that Telegram may take."""
_ADMINS = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR})


class ChatAdmins:
    """Asks Telegram who administers a group, and remembers it for some minutes.

    Args:
        bot: initialised client.
        clock: monotonic seconds.
    """

    def __init__(self, bot: Bot, clock: Callable[[], float] = time.monotonic) -> None:
        self._bot = bot
        self._clock = clock
        self._found: dict[tuple[int, str], tuple[float, bool]] = {}

    async def manages(self, message: IncomingMessage) -> bool:
        """Whether the person administers the chat. In private everybody does; when in doubt, no."""
        data = message.address.data
        chat: int = data["chat_id"]
        who = message.person.id
        if data["private"] or who == str(chat):
            return True  # who writes as the group itself is an administrator that stays unnamed
        if who.startswith("-"):
            return False  # somebody who writes as a channel; nobody knows who
        until, answer = self._found.get((chat, who), (0.0, False))
        if until > self._clock():
            return answer
        found = await self._ask(chat, int(who))
        if found is None:
            return False
        self._found.pop((chat, who), None)
        self._found[chat, who] = (self._clock() + _REMEMBERED, found)
        if len(self._found) > _MOST:
            del self._found[next(iter(self._found))]
        return found

    async def _ask(self, chat: int, who: int) -> bool | None:
        try:
            member = await self._bot.get_chat_member(chat, who, read_timeout=_PATIENCE)
        except TelegramError as error:
            _log.warning("rights not known", chat=chat, error=str(error))
            return None
        return member.status in _ADMINS
