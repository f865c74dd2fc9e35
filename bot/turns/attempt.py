"""Makes the answer of one turn: fetches its pictures, asks the provider, keeps what it says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from bot import image
from bot.errors import ImageUnreadable, MessageGone, QuotaExceeded, SurfaceError, SurfaceForbidden
from bot.files import File, suffix_of
from bot.i18n import Words
from bot.models import Answer, Ask, Exchange, Imagine, Turn, TurnState
from bot.provider.responses import ImageResponse, JsonConversation, Reasoning, Response, Stage, Text
from bot.turns import answers, history
from bot.turns.channel_queues import QueueEntry
from bot.turns.scheduler import Scheduler
from bot.turns.services import Reply, Services

log = structlog.get_logger(__name__)

MODEL, IMAGE_MODEL = "janus-pro-7b", "janus-pro-7b-image"

MAX_ALT_CHARS = 1024
"""Of a description: what Telegram and Discord take."""

MAX_PICTURES = 4
"""Pictures of one question; each costs a call of the Space."""

MAX_PICTURE_BYTES = 20 * 2**20
"""What a platform may hand over for one picture; Telegram's own limit for bots."""


class Answering:
    """One try at the answer of a turn.

    Args:
        turn: what was asked.
        services: what to work with.
        reply: is shown everything as it comes.
        words: the language of its person.
        heard: told the length of the Space's own queue.

    Attributes:
        text: what the provider wrote so far.
        conversation: what the provider wants kept for the channel, once it said so.
    """

    def __init__(
        self,
        turn: Turn,
        services: Services,
        reply: Reply,
        words: Words,
        *,
        heard: Callable[[int], None],
    ) -> None:
        self._turn = turn
        self._heard = heard
        self._words = words
        self._services = services
        self._reply = reply
        self._left_out = False
        self.text = ""
        self.conversation: JsonConversation | None = None

    async def pictures(self) -> tuple[str, ...]:
        """Fetch and store what came with the request, so that no platform link is needed again.

        Returns:
            Their keys; those that the turn has already, if it has any.

        Raises:
            ImageError: one of them cannot be used.

        Cancelling: what was stored stays, and is found again.
        """
        services, turn = self._services, self._turn
        keys = list(turn.pictures)
        for attachment in turn.attachments[:MAX_PICTURES] if not keys else ():
            raw = await services.attachments.fetch(turn.channel, attachment, MAX_PICTURE_BYTES)
            picture = await asyncio.to_thread(image.normalise, raw)
            file = File(picture.data, picture.media_type)
            await services.pictures.put(file, turn_id=turn.id)
            keys.append(file.key)
        return tuple(keys)

    async def answer(self, pictures: tuple[str, ...]) -> Answer:
        """Ask the provider.

        Args:
            pictures: keys of those that came with the request.

        Raises:
            ProviderError: no answer; `text` is what came before.
            ImageError: a picture is not stored any more.

        Cancelling: closes the provider's stream, which tells the Space.
        """
        if isinstance(self._turn.command, Imagine):
            return await self._imagine(self._turn.command)
        return await self._ask(self._turn.command, pictures)

    async def _ask(self, command: Ask, pictures: tuple[str, ...]) -> Answer:
        services, turn = self._services, self._turn
        settings = await services.preferences.of(turn.channel, turn.server)
        exchanges = await services.store.lineage(turn.parent, settings.history)
        keys = pictures or await self._related(exchanges)
        question = command.question.strip()
        if not question and not keys:
            return Answer(TurnState.DONE, self._words("ask-needs-question"))
        said = history.messages(settings.persona, exchanges, question, turn.person.name)
        conversation = await services.store.conversation(turn.channel)
        for number, key in enumerate(keys or (None,), start=1):
            if len(keys) > 1:
                gap = "\n\n" if self.text else ""
                self._say(f"{gap}{self._words('answer-picture', number=number)}\n")
            stream = services.provider.create_async_generator(
                MODEL,
                said,
                media=None if key is None else [await self._media(key)],
                seed=turn.seed,
                conversation=conversation,
                return_conversation=True,
            )
            await self._drain(stream)
        if len(keys) == MAX_PICTURES < len(turn.attachments):
            left_out = self._words("answer-pictures-left-out", count=MAX_PICTURES)
            self._say(f"\n\n{left_out}")
        self._tell_what_is_forgotten(exchanges)
        return Answer(TurnState.DONE, self.text.strip() or self._words("answer-empty"))

    def _tell_what_is_forgotten(self, exchanges: Sequence[Exchange]) -> None:
        """Say that history was cut, unless one of the answers that it still holds says so."""
        note = self._words("answer-history-left-out")
        if self._left_out and not any(note in exchange.answer for exchange in exchanges):
            self._say(f"\n\n{note}")

    async def _imagine(self, command: Imagine) -> Answer:
        settings = await self._services.preferences.of(self._turn.channel, self._turn.server)
        stream = self._services.provider.create_async_generator(
            IMAGE_MODEL,
            prompt=command.prompt,
            seed=self._turn.seed,
            guidance=settings.guidance if command.guidance is None else command.guidance,
            temperature=settings.temperature,
            conversation=await self._services.store.conversation(self._turn.channel),
            return_conversation=True,
        )
        images = await self._drain(stream)
        recipe = images[0].recipe if images else None
        if recipe is None:
            return Answer(TurnState.DONE, self.text.strip() or self._words("answer-empty"))
        keys = []
        for made in images:
            await self._services.pictures.put(made, turn_id=self._turn.id)
            keys.append(made.key)
        return Answer(TurnState.DONE, answers.caption(recipe, self._words), tuple(keys))

    async def _drain(self, stream: AsyncGenerator[Response, None]) -> Sequence[File]:
        images: list[File] = []
        async with contextlib.aclosing(stream):
            async for response in stream:
                match response:
                    case Text():
                        self._say(response)
                    case Reasoning():
                        self._reply.show(response)
                        self._left_out |= response.left_out > 0
                        if response.queue_size is not None:
                            self._heard(response.queue_size)
                    case ImageResponse():
                        images.extend(response.images)
                    case JsonConversation():
                        self.conversation = response
        return images

    def _say(self, text: str) -> None:
        self.text += text
        self._reply.show(Text(text))

    async def _related(self, exchanges: Sequence[Exchange]) -> tuple[str, ...]:
        """The picture that a question without one is about, if any."""
        if self._turn.reply_to is not None:
            turn = await self._services.store.turn_of_message(
                self._turn.channel, self._turn.reply_to
            )
            made = turn.answer.pictures if turn and turn.answer else ()
            shown = turn.pictures if turn else ()
            if made or shown:
                return await self._stored((made or shown)[0])
        newest = history.newest_picture(exchanges)
        return () if newest is None else await self._stored(newest)

    async def _stored(self, key: str) -> tuple[str, ...]:
        """The picture, or none if it was removed: then the question is plain chat."""
        try:
            await self._services.pictures.get(key)
        except KeyError:
            return ()
        return (key,)

    async def _media(self, key: str) -> tuple[bytes, str]:
        try:
            file = await self._services.pictures.get(key)
        except KeyError as error:
            raise ImageUnreadable(
                "The picture is not stored here any more. Please send it again."
            ) from error
        return file.data, f"image.{file.media_type.rpartition('/')[2]}"


class Worker:
    """Makes one answer.

    Args:
        turn: what was asked.
        place: its place in the lane of its channel.
        scheduler: lets it ask a Space.
        services: what to work with.
        words: the language of its person.

    Attributes:
        turn: as it is stored.
    """

    def __init__(
        self, turn: Turn, place: QueueEntry, scheduler: Scheduler, services: Services, words: Words
    ) -> None:
        self.turn = turn
        self._place = place
        self._scheduler = scheduler
        self._services = services
        self._words = words
        self._answering: Answering | None = None

    @property
    def text(self) -> str:
        """What the provider wrote so far."""
        return self._answering.text if self._answering else ""

    @property
    def conversation(self) -> JsonConversation | None:
        """What the provider wants kept for the channel, once it said so."""
        return self._answering.conversation if self._answering else None

    async def work(self, reply: Reply) -> Answer:
        """Wait, ask, and wait again if a quota is used up for a while.

        Args:
            reply: is shown everything as it comes.

        Raises:
            ProviderError: no answer; `text` is what came before.
            ImageError: a picture cannot be used.
            StorageError: the database cannot be used.

        Cancelling: hangs up; the turn is as it was stored last.
        """
        answering = Answering(
            self.turn, self._services, reply, self._words, heard=self._scheduler.heard
        )
        self._answering = answering
        self.turn = replace(self.turn, pictures=await answering.pictures())
        if self.turn.state is TurnState.ACCEPTED:
            await self._save_as(TurnState.QUEUED)
        while True:
            if self.turn.parked_until is not None:
                await self._sit_out(self.turn.parked_until, reply)
            await self._place.reached(reply.waiting)
            async with self._scheduler.through(self.turn, reply.waiting):
                await self._save_as(TurnState.RUNNING, attempts=self.turn.attempts + 1)
                reply.show(Reasoning(Stage.CONNECTING))
                try:
                    return await answering.answer(self.turn.pictures)
                except QuotaExceeded as error:
                    until = self._worth_waiting_for(error)
                    if until is None:
                        raise
            await self._save_as(TurnState.PARKED, parked_until=until)

    def _worth_waiting_for(self, error: QuotaExceeded) -> float | None:
        """When the quota is there again, if that is known, soon enough, and nothing was shown."""
        if error.retry_after is None or self.text:
            return None
        until = time.time() + error.retry_after
        longest = self._services.quota_wait
        return until if not longest or until - self.turn.accepted_at <= longest else None

    async def _sit_out(self, until: float, reply: Reply) -> None:
        """Let others of the channel go meanwhile; they may be questions to another Space."""
        seconds = max(0.0, until - time.time())
        log.info("turn parked", seconds=round(seconds))
        self._place.leave()
        try:
            reply.parked(seconds)
            await asyncio.sleep(seconds)
        finally:
            self._place.rejoin()
        await self._save_as(TurnState.QUEUED, parked_until=None)

    async def _save_as(self, state: TurnState, **changes: Any) -> None:
        if self.turn.state is not state or changes:
            self.turn = self.turn.to(state, **changes)
            await self._services.store.save(self.turn)


async def deliver(
    turn: Turn, answer: Answer, reply: Reply, services: Services, words: Words
) -> TurnState:
    """Show the final state of a reply.

    Where the bot may not write any more, the person is told elsewhere if there is a way.

    Returns:
        The state in which the turn ends once this is stored.

    Cancelling: what was acknowledged is stored, and the answer still owed.
    """
    try:
        await reply.finish(answer, await _made(turn, answer, services, words))
    except MessageGone:
        return TurnState.CANCELLED
    except SurfaceForbidden as error:
        told = await services.replies.tell(turn.person, answers.undeliverable(turn, error, words))
        log.warning("answer could not be delivered", reason=str(error), person_told=told)
        return TurnState.FAILED
    except SurfaceError as error:
        log.warning("answer could not be delivered", reason=str(error))
        return TurnState.FAILED
    return answer.outcome


async def _made(turn: Turn, answer: Answer, services: Services, words: Words) -> Sequence[File]:
    files = []
    prompt = turn.command.prompt if isinstance(turn.command, Imagine) else ""
    for number, key in enumerate(answer.pictures, start=1):
        try:
            file = await services.pictures.get(key)
        except KeyError:
            log.warning("picture is gone", key=key)
            continue
        name = f"janus-{turn.id}-{number}.{suffix_of(file.media_type)}"
        alt = words("alt-number-of", prompt=prompt, number=number, count=len(answer.pictures))
        files.append(file.described(name, alt[:MAX_ALT_CHARS]))
    return files
