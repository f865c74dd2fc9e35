"""Makes the answer of one turn: fetches its pictures, asks the provider, keeps what it says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence

from bot import image
from bot.errors import ImageUnreadable
from bot.language import Words
from bot.provider.response import (
    GeneratedImage,
    ImageResponse,
    JsonConversation,
    Reasoning,
    Response,
    Text,
)
from bot.turn import Answer, Ask, Exchange, Imagine, Turn, TurnState
from bot.turns import answers, history
from bot.turns.ports import Reply, Tools

MODEL, IMAGE_MODEL = "janus-pro-7b", "janus-pro-7b-image"

MAX_PICTURES = 4
"""Pictures of one question; each costs a call of the Space."""

MAX_PICTURE_BYTES = 20 * 2**20
"""What a platform may hand over for one picture; Telegram's own limit for bots."""


class Answering:
    """One try at the answer of a turn.

    Args:
        turn: what was asked.
        tools: what to work with.
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
        tools: Tools,
        reply: Reply,
        words: Words,
        *,
        heard: Callable[[int], None],
    ) -> None:
        self._turn = turn
        self._heard = heard
        self._words = words
        self._tools = tools
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
        tools, turn = self._tools, self._turn
        keys = list(turn.pictures)
        for attachment in turn.attachments[:MAX_PICTURES] if not keys else ():
            raw = await tools.attachments.fetch(turn.channel, attachment, MAX_PICTURE_BYTES)
            picture = await asyncio.to_thread(image.normalise, raw)
            keys.append(await tools.pictures.put(picture.data, picture.media_type, turn_id=turn.id))
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
        tools, turn = self._tools, self._turn
        settings = await tools.preferences.of(turn.channel, turn.server)
        exchanges = await tools.store.lineage(turn.parent, settings.history)
        keys = pictures or await self._related(exchanges)
        question = command.question.strip()
        if not question and not keys:
            return Answer(TurnState.DONE, self._words("ask-needs-question"))
        said = history.messages(settings.persona, exchanges, question, turn.person.name)
        conversation = await tools.store.conversation(turn.channel)
        for number, key in enumerate(keys or (None,), start=1):
            if len(keys) > 1:
                gap = "\n\n" if self.text else ""
                self._say(f"{gap}{self._words('answer-picture', number=number)}\n")
            stream = tools.provider.create_async_generator(
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
        settings = await self._tools.preferences.of(self._turn.channel, self._turn.server)
        stream = self._tools.provider.create_async_generator(
            IMAGE_MODEL,
            prompt=command.prompt,
            seed=self._turn.seed,
            guidance=settings.guidance if command.guidance is None else command.guidance,
            temperature=settings.temperature,
            conversation=await self._tools.store.conversation(self._turn.channel),
            return_conversation=True,
        )
        images = await self._drain(stream)
        if not images:
            return Answer(TurnState.DONE, self.text.strip() or self._words("answer-empty"))
        keys = [
            await self._tools.pictures.put(
                made.data, made.media_type, turn_id=self._turn.id, recipe=made.recipe
            )
            for made in images
        ]
        return Answer(TurnState.DONE, answers.caption(images[0].recipe, self._words), tuple(keys))

    async def _drain(self, stream: AsyncGenerator[Response, None]) -> Sequence[GeneratedImage]:
        images: list[GeneratedImage] = []
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
            turn = await self._tools.store.turn_of_message(self._turn.channel, self._turn.reply_to)
            made = turn.answer.pictures if turn and turn.answer else ()
            shown = turn.pictures if turn else ()
            if made or shown:
                return await self._stored((made or shown)[0])
        newest = history.newest_picture(exchanges)
        return () if newest is None else await self._stored(newest)

    async def _stored(self, key: str) -> tuple[str, ...]:
        """The picture, or none if it was removed: then the question is plain chat."""
        try:
            await self._tools.pictures.get(key)
        except KeyError:
            return ()
        return (key,)

    async def _media(self, key: str) -> tuple[bytes, str]:
        try:
            data, media_type = await self._tools.pictures.get(key)
        except KeyError as error:
            raise ImageUnreadable(
                "The picture is not stored here any more. Please send it again."
            ) from error
        return data, f"image.{media_type.rpartition('/')[2]}"
