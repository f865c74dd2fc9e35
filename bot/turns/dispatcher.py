"""Everything that people do arrives here and goes to whoever carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

import structlog

from bot.actions import Action, Verb, under_drawing
from bot.errors import StorageError
from bot.files import Recipe, suffix_of
from bot.i18n import Words, code, literal
from bot.models import (
    MAX_GUIDANCE,
    MIN_GUIDANCE,
    Ask,
    ChannelKey,
    Imagine,
    IncomingMessage,
    Notice,
    Person,
    Turn,
    same_person,
)
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
from bot.turns.engine import Engine
from bot.turns.services import Services
from bot.turns.settings import SettingsMenu

log = structlog.get_logger(__name__)

_MAX_DRAWINGS_SEARCHED = 200
"""Drawings of a person among which recent prompts are looked for."""


class Dispatcher:
    """Where all platforms deliver what people do; it goes on to whoever carries it out.

    Args:
        engine: runs turns.
        services: what turns work with.
        data_requests: answers what concerns stored data, and the doctor.
        policy: who may use the bot; see the attribute.

    Attributes:
        policy: replaced when the configuration is reloaded.
    """

    def __init__(
        self, engine: Engine, services: Services, data_requests: DataRequests, policy: Policy
    ) -> None:
        self._engine = engine
        self._services = services
        self._data_requests = data_requests
        self._menu = SettingsMenu(services.settings)
        self.policy = policy

    async def handle(self, message: IncomingMessage, command: Command) -> Notice | None:
        """Take a command in.

        Returns when a turn is committed, its first sign of life on the way; the reply itself goes
        on in the background. A message delivered before changes nothing.

        Returns:
            What to answer at once, or `None` if a turn's reply is the answer.

        Cancelling: the turn is accepted or it is not; a message delivered again tells which.
        """
        words = self._services.settings.catalogue.words(message.person.language)
        try:
            words = await self.words(message)
            return self._refused(message, words) or await self._carry_out(message, command, words)
        except StorageError as error:
            log.error("request refused", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return Notice(words("no-storage"))

    async def press(self, message: IncomingMessage, action: Action) -> Notice | None:
        """Take the press of a button in.

        Args:
            message: who pressed, where, and where a reply goes; its id is that of the press.
            action: as the button carried it. `Verb.EDIT` begins nothing: `None` says only that the
                turn is this person's. A platform then asks for the new prompt (see `drawing`) and
                hands it to `handle`.

        Returns:
            As `handle`. Somebody else's press gets a private notice, and changes nothing.
        """
        words = self._services.settings.catalogue.words(message.person.language)
        try:
            words = await self.words(message)
            return self._refused(message, words) or await self._pressed(message, action, words)
        except StorageError as error:
            log.error("press refused", reason=str(error))  # noqa: TRY400 - no bug, no traceback
            return Notice(words("no-storage"))

    async def words(self, message: IncomingMessage) -> Words:
        """The language to speak: the channel's, else the person's, else the configured one.

        Raises:
            StorageError: the database cannot be used.
        """
        return await self._services.settings.words(message.channel, message.server, message.person)

    async def drawing(self, turn_id: str) -> Imagine | None:
        """The prompt, seed and guidance of a turn that drew; `None` if there is no such turn.

        Raises:
            StorageError: the database cannot be used.
        """
        turn = await self._services.storage.turns.get(turn_id)
        if turn is None:
            return None
        settings = await self._services.settings.of(turn.channel, turn.server)
        return _exact(turn, settings.guidance)

    async def recent_prompts(self, person: Person, beginning: str) -> Sequence[str]:
        """What a person drew lately, newest first, each prompt once.

        Args:
            person: whose; nobody else is shown them.
            beginning: only prompts that begin like this, whatever the case.

        Raises:
            StorageError: the database cannot be used.
        """
        wanted = beginning.strip().lower()
        found = await self._services.storage.turns.prompts(person, _MAX_DRAWINGS_SEARCHED)
        return [prompt for prompt in dict.fromkeys(found) if prompt.lower().startswith(wanted)]

    async def edited(self, message: IncomingMessage, command: Command) -> None:
        """A person edited a message: its turn is begun again in the same reply, if not finished.

        A message that made no turn makes none now.
        """
        if isinstance(command, Ask | Imagine):
            await self._engine.edit(message, command)

    async def deleted(self, channel: ChannelKey, message_id: str) -> None:
        """A person deleted a message: its turn, if not finished, ends and its reply goes."""
        self._engine.withdraw(channel, message_id)

    async def moved(self, old: ChannelKey, new: ChannelKey) -> None:
        """The platform gave a channel another id: all that belongs to it goes along.

        Raises:
            StorageError: the database cannot be used; to be called again.
        """
        await self._services.storage.channels.move(old, new)
        self._services.settings.forget()
        log.info("channel moved", old=str(old), new=str(new))

    async def saw(self, channel: ChannelKey, message_id: str) -> None:
        """A message was handled, whatever came of it; for platforms that do not deliver again.

        Raises:
            StorageError: the database cannot be used.
        """
        await self._services.storage.channels.saw(channel, message_id)

    async def seen(self, platform: str, since: float) -> Sequence[tuple[ChannelKey, str]]:
        """Channels in which messages were handled after `since` (Unix seconds), newest first.

        Returns:
            Each with the largest id handled there.

        Raises:
            StorageError: the database cannot be used.
        """
        return await self._services.storage.channels.seen(platform, since)

    def _refused(self, message: IncomingMessage, words: Words) -> Notice | None:
        if self._engine.closing:
            return Notice(words("restarting"))
        if not self.policy.rules.allows(message):
            log.info("access denied", person=str(message.person), channel=str(message.channel))
            return Notice(words("access-denied", person=str(message.person)))
        return None

    def _is_admin(self, message: IncomingMessage) -> bool:
        """An admin of the bot or of the channel."""
        return message.moderator or self.policy.rules.is_admin(message)

    async def _carry_out(  # noqa: PLR0911 - one return per command
        self, message: IncomingMessage, command: Command, words: Words
    ) -> Notice | None:
        storage = self._services.storage
        match command:
            case Ask() | Imagine():
                return await self._accept(message, command, words)
            case Retry():
                return await self._engine.retry(
                    message, await storage.turns.newest(message.channel), words
                )
            case Stop():
                stopping = self._engine.stop(message.channel, message.person)
                return Notice(words("stop-stopping" if stopping else "stop-nothing"))
            case Reset():
                await storage.channels.reset(message.channel)
                return Notice(words("reset-done"), private=False)
            case ShowRecipe(message_id=picked):
                return await self._recipe(message, picked, words)
            case ShowSettings():
                return await self._menu.show(message, command, self._is_admin(message), words)
            case Stats() | Privacy() | Export() | Forget():
                return await self._data_requests.answer(
                    message,
                    command,
                    self._is_admin(message),
                    words,
                    bot_admin=self.policy.rules.is_admin(message),
                )
            case Help():
                return Notice(words("help"))
            case Doctor():
                admin = self.policy.rules.is_admin(message)
                return await self._data_requests.examine(admin=admin, words=words)
            case _:
                assert_never(command)

    async def _accept(
        self, message: IncomingMessage, command: Ask | Imagine, words: Words
    ) -> Notice | None:
        settings = await self._services.settings.of(message.channel, message.server)
        if isinstance(command, Imagine) and not settings.images:
            return Notice(words("images-off"))
        return await self._engine.accept(Turn.accept(message, command), words)

    async def _recipe(self, message: IncomingMessage, picked: str | None, words: Words) -> Notice:
        wanted = picked or message.reply_to
        storage = self._services.storage
        turn = (
            await storage.turns.newest_drawing(message.channel)
            if wanted is None
            else await storage.turns.of_message(message.channel, wanted)
        )
        made = turn.answer.pictures if turn is not None and turn.answer is not None else ()
        recipe = await self._services.storage.pictures.recipe(made[0]) if made else None
        if turn is None or recipe is None:
            return Notice(words("recipe-none" if wanted is None else "recipe-none-there"))
        text = _recipe_text(recipe, len(made), words)
        return Notice(text, buttons=under_drawing(turn.id, len(made), words))

    async def _pressed(  # noqa: PLR0911 - one return per verb
        self, message: IncomingMessage, action: Action, words: Words
    ) -> Notice | None:
        if action.verb is Verb.SET:
            return await self._menu.press(message, action, self._is_admin(message), words)
        if action.verb is Verb.FORGET:
            admin = self._is_admin(message)
            return await self._data_requests.forget(message, action.target, admin, words)
        turn = await self._services.storage.turns.get(action.target)
        if turn is None:
            return Notice(words("press-gone"))
        manages = action.verb in {Verb.STOP, Verb.DELETE} and self._is_admin(message)
        if not manages and not same_person(turn.person, message.person):
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
        settings = await self._services.settings.of(turn.channel, turn.server)
        drawing = _exact(turn, settings.guidance)
        if drawing is None:
            return Notice(words("press-gone"))
        wanted = _varied(drawing, verb)
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
            file = await self._services.storage.pictures.get(key)
        except KeyError:
            return Notice(words("press-picture-gone"))
        if file.recipe is not None:
            from bot.image.png_metadata import png_with_recipe  # noqa: PLC0415 - loads Pillow

            file = await asyncio.to_thread(png_with_recipe, file)
        name = f"janus-{turn.id}-{number}.{suffix_of(file.media_type)}"
        file = file.described(name, "")
        return Notice(words("press-full", number=number), files=(file,))


_GUIDANCE_STEP = 1.0


def _recipe_text(recipe: Recipe, count: int, words: Words) -> str:
    """Everything that makes a picture again, and the command that does."""
    prompt = " ".join(recipe.prompt.split())
    guidance = f"{recipe.guidance:g}"
    return words(
        "recipe-told",
        prompt=literal(prompt),
        seed=str(recipe.seed),
        guidance=guidance,
        temperature=f"{recipe.temperature:g}",
        space=literal(recipe.space),
        number=str(recipe.index + 1),
        count=str(count),
        command=code(f"/imagine {prompt} --seed {recipe.seed} --guidance {guidance}"),
    )


def _exact(turn: Turn, default_guidance: float) -> Imagine | None:
    """What a turn drew, with nothing left to chance; `None` if it drew nothing."""
    if not isinstance(turn.command, Imagine):
        return None
    guidance = turn.command.guidance
    return replace(
        turn.command,
        seed=turn.seed,
        guidance=default_guidance if guidance is None else guidance,
    )


def _varied(drawing: Imagine, verb: Verb) -> Imagine | None:
    """The drawing that a press asks for; `None` if the guidance is at its end."""
    guidance = drawing.guidance or MIN_GUIDANCE
    match verb:
        case Verb.AGAIN:
            return replace(drawing, seed=None)
        case Verb.LESS if guidance > MIN_GUIDANCE:
            return replace(drawing, guidance=max(MIN_GUIDANCE, guidance - _GUIDANCE_STEP))
        case Verb.MORE if guidance < MAX_GUIDANCE:
            return replace(drawing, guidance=min(MAX_GUIDANCE, guidance + _GUIDANCE_STEP))
        case _:
            return None
