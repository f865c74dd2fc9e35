"""Implements `Inbox`: everything that people do arrives here and goes to whoever carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import assert_never

import structlog

from bot.actions import Action, Verb, under_drawing
from bot.errors import StorageError
from bot.files import suffix_of
from bot.i18n import Words
from bot.image.png_metadata import png_with_recipe
from bot.models import Ask, ChannelKey, Imagine, IncomingMessage, Person, Turn
from bot.turns import recipes
from bot.turns.access import Policy
from bot.turns.commands import (
    Command,
    Doctor,
    Export,
    Forget,
    Help,
    Privacy,
    Reset,
    Retry,
    ShowRecipe,
    ShowSettings,
    Stats,
    Stop,
)
from bot.turns.data_requests import DataRequests
from bot.turns.engine import Engine, same
from bot.turns.inbox import Notice
from bot.turns.services import Services
from bot.turns.settings_menu import SettingsMenu

log = structlog.get_logger(__name__)

PROMPTS = 200
"""Drawings of a person among which recent prompts are looked for."""


class Dispatcher:
    """The `Inbox` of all platforms.

    Args:
        engine: runs turns.
        services: what turns work with.
        records: answers what concerns stored data, and the doctor.
        policy: who may use the bot; see the attribute.

    Attributes:
        policy: replaced when the configuration is reloaded.
    """

    def __init__(
        self, engine: Engine, services: Services, records: DataRequests, policy: Policy
    ) -> None:
        self._engine = engine
        self._services = services
        self._records = records
        self._menu = SettingsMenu(services.preferences)
        self.policy = policy

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """As `bot.turns.inbox.Inbox.handle`.

        Cancelling: the turn is accepted or it is not; a message delivered again tells which.
        """
        words = self._services.preferences.catalogue.words(message.person.language)
        try:
            words = await self.words(message)
            if (refused := self._refused(message, words)) is not None:
                return refused
            return await self._carry_out(message, command, words)
        except StorageError as error:
            log.error("request refused", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return Notice(words("no-storage"))

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        """As `bot.turns.inbox.Inbox.press`."""
        words = self._services.preferences.catalogue.words(message.person.language)
        try:
            words = await self.words(message)
            if (refused := self._refused(message, words)) is not None:
                return refused
            if action.verb is Verb.SET:
                return await self._menu.press(message, action, self._is_admin(message), words)
            if action.verb is Verb.FORGET:
                return await self._records.forget(
                    message, action.target, self._is_admin(message), words
                )
            return await self._press(message, action, words)
        except StorageError as error:
            log.error("press refused", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return Notice(words("no-storage"))

    async def words(self, message: IncomingMessage) -> Words:
        """As `bot.turns.inbox.Inbox.words`."""
        preferences = self._services.preferences
        return await preferences.words(message.channel, message.server, message.person)

    async def drawing(self, turn_id: str) -> Imagine | None:
        """As `bot.turns.inbox.Inbox.drawing`."""
        turn = await self._services.store.turn(turn_id)
        if turn is None:
            return None
        settings = await self._services.preferences.of(turn.channel, turn.server)
        return recipes.exact(turn, settings.guidance)

    async def recent_prompts(self, person: Person, beginning: str) -> Sequence[str]:
        """As `bot.turns.inbox.Inbox.recent_prompts`."""
        wanted = beginning.strip().lower()
        found = await self._services.store.prompts(person, PROMPTS)
        return [prompt for prompt in dict.fromkeys(found) if prompt.lower().startswith(wanted)]

    async def edited(self, message: IncomingMessage, command: Command) -> None:
        """As `bot.turns.inbox.Inbox.edited`."""
        if isinstance(command, Ask | Imagine):
            await self._engine.edit(message, command)

    async def deleted(self, channel: ChannelKey, message_id: str) -> None:
        """As `bot.turns.inbox.Inbox.deleted`."""
        self._engine.withdraw(channel, message_id)

    async def moved(self, old: ChannelKey, new: ChannelKey) -> None:
        """As `bot.turns.inbox.Inbox.moved`."""
        await self._services.store.move_channel(old, new)
        self._services.preferences.forget()
        log.info("channel moved", old=str(old), new=str(new))

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """As `bot.turns.inbox.Inbox.saw`."""
        await self._services.store.saw(channel, message_id)

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        """As `bot.turns.inbox.Inbox.seen`."""
        return await self._services.store.seen(platform, since)

    def _refused(self, message: IncomingMessage, words: Words) -> Notice | None:
        if self._engine.closing:
            return Notice(words("restarting"))
        if not self.policy.rules.lets_in(message):
            log.info("not let in", person=str(message.person), channel=str(message.channel))
            return Notice(words("access-denied", person=str(message.person)))
        return None

    def _is_admin(self, message: IncomingMessage) -> bool:
        """An admin of the bot or of the channel."""
        return message.moderator or self.policy.rules.is_admin(message)

    async def _carry_out(  # noqa: PLR0911 - one return per command
        self, message: IncomingMessage, command: Command, words: Words
    ) -> Notice | None:
        store = self._services.store
        match command:
            case Ask() | Imagine():
                return await self._accept(message, command, words)
            case Retry():
                return await self._engine.retry(message, await store.newest(message.channel), words)
            case Stop():
                stopping = self._engine.stop(message.channel, message.person)
                return Notice(words("stop-stopping" if stopping else "stop-nothing"))
            case Reset():
                await store.reset(message.channel)
                return Notice(words("reset-done"), private=False)
            case ShowRecipe(message_id=picked):
                return await self._recipe(message, picked, words)
            case ShowSettings():
                return await self._menu.show(message, command, self._is_admin(message), words)
            case Stats() | Privacy() | Export() | Forget():
                return await self._records.answer(message, command, self._is_admin(message), words)
            case Help():
                return Notice(words("help"))
            case Doctor():
                admin = self.policy.rules.is_admin(message)
                return await self._records.examine(admin=admin, words=words)
            case _:
                assert_never(command)

    async def _accept(
        self, message: IncomingMessage, command: Ask | Imagine, words: Words
    ) -> Notice | None:
        settings = await self._services.preferences.of(message.channel, message.server)
        if isinstance(command, Imagine) and not settings.images:
            return Notice(words("images-off"))
        return await self._engine.accept(Turn.accept(message, command), words)

    async def _recipe(self, message: IncomingMessage, picked: str | None, words: Words) -> Notice:
        wanted = picked or message.reply_to
        store = self._services.store
        turn = (
            await store.newest_drawing(message.channel)
            if wanted is None
            else await store.turn_of_message(message.channel, wanted)
        )
        made = turn.answer.pictures if turn is not None and turn.answer is not None else ()
        recipe = await self._services.pictures.recipe(made[0]) if made else None
        if turn is None or recipe is None:
            return Notice(words("recipe-none" if wanted is None else "recipe-none-there"))
        text = recipes.told(recipe, len(made), words)
        return Notice(text, buttons=under_drawing(turn.id, len(made), words))

    async def _press(  # noqa: PLR0911 - one return per verb
        self, message: IncomingMessage, action: Action, words: Words
    ) -> Notice | None:
        turn = await self._services.store.turn(action.target)
        if turn is None:
            return Notice(words("press-gone"))
        manages = action.verb in {Verb.STOP, Verb.DELETE} and self._is_admin(message)
        if not manages and not same(turn.person, message.person):
            return Notice(words("press-not-yours"))
        match action.verb:
            case Verb.STOP:
                stopping = self._engine.stop_turn(turn.id)
                return Notice(words("stop-stopping" if stopping else "stop-nothing"))
            case Verb.DELETE:
                await self._engine.remove(turn, words)
                return Notice(words("press-deleted"))
            case Verb.RETRY:
                return await self._engine.retry(message, turn, words)
            case Verb.FULL:
                return await self._full(turn, action.value, words)
            case Verb.EDIT:
                # The platform asks for the new prompt; here it only learns whether it may.
                return None if isinstance(turn.command, Imagine) else Notice(words("press-gone"))
            case _:
                return await self._draw(message, turn, action.verb, words)

    async def _draw(
        self, message: IncomingMessage, turn: Turn, verb: Verb, words: Words
    ) -> Notice | None:
        settings = await self._services.preferences.of(turn.channel, turn.server)
        drawing = recipes.exact(turn, settings.guidance)
        if drawing is None:
            return Notice(words("press-gone"))
        wanted = recipes.varied(drawing, verb)
        if wanted is None:
            return Notice(words("press-guidance-limit"))
        return await self._accept(message, wanted, words)

    async def _full(self, turn: Turn, number: str, words: Words) -> Notice:
        """One picture as a file, as large as it was made and with its recipe in it."""
        made = turn.answer.pictures if turn.answer is not None else ()
        if not number.isdecimal() or not 1 <= int(number) <= len(made):
            return Notice(words("press-gone"))
        key = made[int(number) - 1]
        try:
            file = await self._services.pictures.get(key)
        except KeyError:
            return Notice(words("press-picture-gone"))
        if file.recipe is not None:
            file = await asyncio.to_thread(png_with_recipe, file)
        name = f"janus-{turn.id}-{number}.{suffix_of(file.media_type)}"
        file = file.described(name, "")
        return Notice(words("press-full", number=number), files=(file,))
