"""One attempt at a turn: wait, fetch its pictures, ask the provider, deliver what it says."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from bot.errors import (
    ImageUnreadable,
    MessageGone,
    QuotaExceeded,
    SurfaceError,
    SurfaceForbidden,
)
from bot.files import File, suffix_of
from bot.i18n import Words
from bot.models import Answer, Ask, Exchange, Imagine, Turn, TurnState
from bot.provider.responses import (
    ImageResponse,
    JsonConversation,
    Preview,
    Reasoning,
    Response,
    Stage,
    Text,
)
from bot.reply.live_reply import LiveReply
from bot.turns import answers, history
from bot.turns.scheduler import QueueEntry, Scheduler
from bot.turns.services import Services

log = structlog.get_logger(__name__)

_MODEL, _IMAGE_MODEL = "janus-pro-7b", "janus-pro-7b-image"

_MAX_PICTURES: Final = 4
"""Of one question; each costs a call of the Space."""
_MAX_PICTURE_BYTES: Final = 20 * 2**20
"""What a platform may hand over for one picture; Telegram's own limit for bots."""
_MAX_ALT_CHARS: Final = 1024
"""Of a description: what Telegram and Discord take."""


class Attempt:
    """One attempt at the answer of a turn.

    Args:
        turn: what was asked.
        entry: its place in the queue of its channel.
        scheduler: gives it a slot at the Spaces.
        services: what to work with.
        reply: is shown everything as it comes.
        words: the language of its person.

    Attributes:
        turn: as it is stored.
        text: what the provider wrote so far.
        conversation: what the provider wants kept for the channel, once it said so.
    """

    def __init__(
        self,
        turn: Turn,
        entry: QueueEntry,
        scheduler: Scheduler,
        services: Services,
        *,
        reply: LiveReply,
        words: Words,
    ) -> None:
        self.turn = turn
        self.text = ""
        self.conversation: JsonConversation | None = None
        self._entry = entry
        self._scheduler = scheduler
        self._services = services
        self._reply = reply
        self._words = words
        self._left_out = False
        self._missing = 0
        self._files: dict[str, File] = {}
        """Pictures just fetched or made, by key: they need not be read back to be sent on."""

    async def make(self) -> Answer:
        """Make the answer; wait out a Space's quota if that is worth it.

        Raises:
            ProviderError: no answer; `text` is what came before.
            ImageError: a picture cannot be used.
            StorageError: the database cannot be used.

        Cancelling: hangs up, which tells the Space; the turn is as it was stored last.
        """
        await self._fetch_pictures()
        if self.turn.state is TurnState.ACCEPTED:
            await self._save_as(TurnState.QUEUED)
        while True:
            if self.turn.parked_until is not None:
                await self._sit_out(self.turn.parked_until)
            await self._entry.first(self._reply.waiting)
            async with self._scheduler.slot(self.turn, self._reply.waiting):
                await self._save_as(TurnState.RUNNING, attempts=self.turn.attempts + 1)
                self._reply.show(Reasoning(Stage.CONNECTING))
                try:
                    if isinstance(self.turn.command, Imagine):
                        return await self._imagine(self.turn.command)
                    return await self._ask(self.turn.command)
                except QuotaExceeded as error:
                    until = self._worth_waiting_for(error)
                    if until is None:
                        raise
            await self._save_as(TurnState.PARKED, parked_until=until)

    async def deliver(self, answer: Answer) -> TurnState:
        """Show the final state of the reply.

        Where the bot may not write any more, the person is told elsewhere if there is a way.

        Returns:
            The state in which the turn ends once this is stored.

        Cancelling: what was acknowledged is stored, and the answer still owed.
        """
        turn, words, files = self.turn, self._words, []
        prompt = turn.command.prompt if isinstance(turn.command, Imagine) else ""
        for number, key in enumerate(answer.pictures, start=1):
            try:
                file = self._files.get(key) or await self._services.storage.pictures.get(key)
            except KeyError:
                log.warning("picture is gone", key=key)
                continue
            alt = words("alt-number-of", prompt=prompt, number=number, count=len(answer.pictures))
            name = f"janus-{turn.id}-{number}.{suffix_of(file.media_type)}"
            files.append(file.described(name, alt[:_MAX_ALT_CHARS]))
        try:
            await self._reply.finish(answer, files)
        except MessageGone:
            return TurnState.CANCELLED
        except SurfaceError as error:
            told = False
            if isinstance(error, SurfaceForbidden):
                platform = self._services.platforms[turn.person.platform]
                told = await platform.tell(turn.person, answers.undeliverable(turn, error, words))
            log.warning("answer could not be delivered", reason=str(error), person_told=told)
            return TurnState.FAILED
        return answer.outcome

    async def _fetch_pictures(self) -> None:
        """Fetch and store what came with the request, so that no platform link is needed again."""
        turn = self.turn
        if turn.pictures or not turn.attachments:
            return
        platform = self._services.platforms[turn.channel.platform]
        for attachment in turn.attachments[:_MAX_PICTURES]:
            raw = await platform.fetch(turn.channel, attachment, _MAX_PICTURE_BYTES)
            await self._keep(await self._services.picture_worker.normalise(raw))
        self.turn = replace(turn, pictures=tuple(self._files))

    async def _keep(self, file: File) -> None:
        await self._services.storage.pictures.put(file, turn_id=self.turn.id)
        self._files[file.key] = file

    async def _ask(self, command: Ask) -> Answer:
        services, turn = self._services, self.turn
        settings = await services.settings.of(turn.channel, turn.server)
        exchanges = await services.storage.turns.lineage(turn.parent, settings.history)
        pictures = await self._asked_about(exchanges)
        question = command.question.strip()
        if not question and not pictures:
            return Answer(TurnState.DONE, self._words("ask-needs-question"))
        said = history.messages(settings.persona, exchanges, question, turn.person.name)
        conversation = await services.storage.channels.conversation(turn.channel)
        for number, file in enumerate(pictures or [None], start=1):
            if len(pictures) > 1:
                gap = "\n\n" if self.text else ""
                self._say(f"{gap}{self._words('answer-picture', number=number)}\n")
            media = None if file is None else [(file.data, f"image.{suffix_of(file.media_type)}")]
            await self._drain(
                services.provider.create_async_generator(
                    _MODEL,
                    said,
                    media=media,
                    seed=turn.seed,
                    conversation=conversation,
                    return_conversation=True,
                )
            )
        if len(pictures) == _MAX_PICTURES < len(turn.attachments):
            left_out = self._words("answer-pictures-left-out", count=_MAX_PICTURES)
            self._say(f"\n\n{left_out}")
        note = self._words("answer-history-left-out")
        if self._left_out and not any(note in exchange.answer for exchange in exchanges):
            self._say(f"\n\n{note}")  # once, while one of the answers that are told says so
        return Answer(TurnState.DONE, self.text.strip() or self._words("answer-empty"))

    async def _asked_about(self, exchanges: Sequence[Exchange]) -> list[File]:
        """The pictures that came with the question, else the one that it refers to, if any.

        Raises:
            ImageUnreadable: one that came with it was removed since.
        """
        stored = self._services.storage.pictures
        if self.turn.pictures:
            try:
                return [self._files.get(key) or await stored.get(key) for key in self.turn.pictures]
            except KeyError as error:
                raise ImageUnreadable(
                    "The picture is not stored here any more. Please send it again."
                ) from error
        key = history.newest_picture(exchanges)
        if self.turn.reply_to is not None:
            storage = self._services.storage
            answered = await storage.turns.of_message(self.turn.channel, self.turn.reply_to)
            made = answered.answer.pictures if answered and answered.answer else ()
            shown = answered.pictures if answered else ()
            key = (made or shown or (key,))[0]
        if key is None:
            return []
        try:
            return [await self._services.storage.pictures.get(key)]
        except KeyError:
            return []  # removed meanwhile: then the question is plain chat

    async def _imagine(self, command: Imagine) -> Answer:
        services, turn = self._services, self.turn
        settings = await services.settings.of(turn.channel, turn.server)
        images = await self._drain(
            services.provider.create_async_generator(
                _IMAGE_MODEL,
                prompt=command.prompt,
                seed=turn.seed,
                guidance=settings.guidance if command.guidance is None else command.guidance,
                temperature=settings.temperature,
                previews=settings.previews_in(self._reply.limits),
                conversation=await services.storage.channels.conversation(turn.channel),
                return_conversation=True,
            )
        )
        for file in images:
            await self._keep(file)
        if not images or images[0].recipe is None:
            return Answer(TurnState.DONE, self.text.strip() or self._words("answer-empty"))
        caption = answers.caption(images[0].recipe, self._words)
        if self._missing:
            caption += f"\n{self._words('answer-pictures-missing', count=self._missing)}"
        return Answer(TurnState.DONE, caption, tuple(file.key for file in images))

    async def _drain(self, stream: AsyncGenerator[Response, None]) -> Sequence[File]:
        """Show what the provider says until it has said all; returns the pictures it made."""
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
                            self._scheduler.heard(response.queue_size)
                    case Preview():
                        self._reply.show(self._described(response))
                    case ImageResponse():
                        images.extend(response.images)
                        self._missing = response.missing
                    case JsonConversation():
                        self.conversation = response
        return images

    def _described(self, preview: Preview) -> Preview:
        prompt = self.turn.command.prompt if isinstance(self.turn.command, Imagine) else ""
        alt = self._words("alt-preview", prompt=prompt)[:_MAX_ALT_CHARS]
        return Preview(
            [
                file.described(f"preview-{number}.{suffix_of(file.media_type)}", alt)
                for number, file in enumerate(preview.images, start=1)
            ]
        )

    def _say(self, text: str) -> None:
        self.text += text
        self._reply.show(Text(text))

    def _worth_waiting_for(self, error: QuotaExceeded) -> float | None:
        """When the quota is there again, if that is known, soon enough, and nothing was shown."""
        if error.retry_after is None or self.text:
            return None
        until = time.time() + error.retry_after
        longest = self._services.quota_wait
        return until if not longest or until - self.turn.accepted_at <= longest else None

    async def _sit_out(self, until: float) -> None:
        """Let others of the channel go meanwhile; they may be questions to another Space."""
        seconds = max(0.0, until - time.time())
        log.info("turn parked", seconds=round(seconds))
        self._entry.leave()
        try:
            self._reply.parked(seconds)
            await asyncio.sleep(seconds)
        finally:
            self._entry.rejoin()
        await self._save_as(TurnState.QUEUED, parked_until=None)

    async def _save_as(self, state: TurnState, **changes: Any) -> None:
        if self.turn.state is not state or changes:
            self.turn = self.turn.to(state, **changes)
            await self._services.storage.turns.save(self.turn)
