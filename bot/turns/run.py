"""One turn on its way from accepted to finished.

Two tasks: the outer one opens the reply, stores the answer and delivers it; the inner one, the
worker, waits in the lane and drains the provider. Stopping and suspending cancel only the worker,
so that whatever the turn came to is still delivered or kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import structlog

from bot import image
from bot.errors import ImageError, MessageGone, ProviderError, SurfaceError
from bot.provider.response import (
    GeneratedImage,
    ImageResponse,
    JsonConversation,
    Reasoning,
    Response,
    Stage,
    Text,
)
from bot.turn import Answer, Ask, Exchange, Imagine, Picture, Turn, TurnState
from bot.turns import answers, history
from bot.turns.lanes import Place
from bot.turns.ports import (
    Attachments,
    Observer,
    PictureStore,
    Provider,
    Replies,
    Reply,
    TurnStore,
)

log = structlog.get_logger(__name__)

MODEL, IMAGE_MODEL = "janus-pro-7b", "janus-pro-7b-image"

MAX_PICTURES = 4
"""Pictures of one question; each costs a call of the Space."""

MAX_PICTURE_BYTES = 20 * 2**20
"""What a platform may hand over for one picture; Telegram's own limit for bots."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What turns work with.

    Attributes:
        system_prompt: said to the model before every conversation; may be empty.
        history_messages: earlier messages sent with a question at most.
    """

    store: TurnStore
    pictures: PictureStore
    provider: Provider
    replies: Replies
    attachments: Attachments
    observer: Observer
    system_prompt: str = ""
    history_messages: int = 20


class _Why(enum.Enum):
    """Why a worker was cancelled."""

    STOPPED = enum.auto()
    SUSPENDED = enum.auto()
    LOST = enum.auto()


class _Suspended(Exception):
    """The process stops; the turn stays unfinished on purpose."""


class TurnRun:
    """Carries one turn through.

    Args:
        turn: in any state that is not final.
        place: its place in the lane of its channel; given up at the end.
        tools: what to work with.
        resumed: the turn was begun by an earlier process.
    """

    def __init__(self, turn: Turn, place: Place, tools: Tools, *, resumed: bool = False) -> None:
        self.turn = turn
        self._place = place
        self._tools = tools
        self._resumed = resumed
        self._worker: asyncio.Task[Answer] | None = None
        self._why: _Why | None = None
        self._reply: Reply | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._partial = ""
        self._conversation: JsonConversation | None = None

    async def run(self) -> None:
        """Carry the turn to its end, or to where another process can take it up.

        Never raises but when cancelled: this is the task boundary of a turn.

        Cancelling: the turn stays resumable from its row.
        """
        where = {"turn": self.turn.id, "channel": str(self.turn.channel)}
        with structlog.contextvars.bound_contextvars(**where):
            try:
                await self._run()
            except Exception:
                log.exception("turn broke off; it will be taken up at the next start")
            finally:
                self._place.leave()

    def stop(self) -> bool:
        """Stop because its person wants that. False if there is nothing to stop any more."""
        return self._end_worker(_Why.STOPPED)

    def suspend(self) -> None:
        """Stop because the process stops."""
        if self._end_worker(_Why.SUSPENDED) and self._reply is not None:
            # Said while the provider hangs up, which can take a moment.
            self._farewell = asyncio.create_task(self._reply.suspend())

    def _end_worker(self, why: _Why) -> bool:
        if self.turn.answer is not None or self._why is not None:
            return False
        self._why = why
        if self._worker is not None:
            self._worker.cancel()
        return True

    async def _run(self) -> None:
        reply = self._reply = await self._tools.replies.open(self.turn, self._lost)
        try:
            if self._resumed and self.turn.answer is None:
                reply.resumed()
            answer = self.turn.answer
            if answer is None:
                answer = await self._answer(reply)
                self.turn = self.turn.to(TurnState.DELIVERING, answer=answer)
                await self._tools.store.finish(self.turn, self._conversation)
            await self._deliver(reply, answer)
        except _Suspended:
            log.info("turn suspended", state=self.turn.state)
            await self._save_as(TurnState.QUEUED)
            await (self._farewell or reply.suspend())
        finally:
            await reply.aclose()

    def _lost(self, error: SurfaceError) -> None:
        log.info("reply cannot be finished", reason=str(error))
        self._end_worker(_Why.LOST)

    async def _answer(self, reply: Reply) -> Answer:
        """Let the worker make the answer; whatever ends it becomes one."""
        worker = self._worker = asyncio.create_task(self._work(reply), name=f"turn {self.turn.id}")
        if self._why is not None:  # stopped before it began
            worker.cancel()
        try:
            await asyncio.wait([worker])
        finally:
            if not worker.done():
                worker.cancel()
                await asyncio.gather(worker, return_exceptions=True)
        if worker.cancelled():
            if self._why is _Why.SUSPENDED:
                raise _Suspended
            return answers.stopped(self._partial)
        try:
            return worker.result()
        except (ProviderError, ImageError) as error:
            log.info("no answer", kind=type(error).__name__, reason=str(error))
            return answers.failed(self.turn, error, self._partial)
        except Exception:
            log.exception("turn failed")
            return answers.broken(self.turn)

    async def _work(self, reply: Reply) -> Answer:
        await self._fetch_pictures()
        await self._place.reached(reply.waiting)
        await self._save_as(TurnState.RUNNING, attempts=self.turn.attempts + 1)
        reply.show(Reasoning(Stage.CONNECTING))
        if isinstance(self.turn.command, Imagine):
            return await self._imagine(reply, self.turn.command)
        return await self._ask(reply, self.turn.command)

    async def _save_as(self, state: TurnState, **changes: int) -> None:
        if self.turn.state is not state or changes:
            self.turn = self.turn.to(state, **changes)
            await self._tools.store.save(self.turn)

    async def _fetch_pictures(self) -> None:
        """Fetch and store what came with the request, so that no platform link is needed again."""
        keys = list(self.turn.pictures)
        for attachment in self.turn.attachments[:MAX_PICTURES] if not keys else ():
            raw = await self._tools.attachments.fetch(
                self.turn.channel, attachment, MAX_PICTURE_BYTES
            )
            picture = await asyncio.to_thread(image.normalise, raw)
            keys.append(
                await self._tools.pictures.put(
                    picture.data, picture.media_type, turn_id=self.turn.id
                )
            )
        self.turn = replace(self.turn, pictures=tuple(keys))
        if self.turn.state is TurnState.ACCEPTED:
            await self._save_as(TurnState.QUEUED)

    async def _ask(self, reply: Reply, command: Ask) -> Answer:
        tools, turn = self._tools, self.turn
        exchanges = await tools.store.history(turn.channel, tools.history_messages)
        keys = turn.pictures or await self._related(exchanges)
        question = command.question.strip()
        said = history.messages(tools.system_prompt, exchanges, question)
        conversation = await tools.store.conversation(turn.channel)
        for number, key in enumerate(keys or (None,), start=1):
            if len(keys) > 1:
                gap = "\n\n" if self._partial else ""
                self._say(reply, f"{gap}**Picture {number}**\n")
            stream = tools.provider.create_async_generator(
                MODEL,
                said,
                media=None if key is None else [await self._media(key)],
                seed=turn.seed,
                conversation=conversation,
                return_conversation=True,
            )
            await self._drain(stream, reply)
        left_out = len(turn.attachments) - len(keys)
        if len(keys) == MAX_PICTURES and left_out > 0:
            self._say(reply, f"\n\n(I looked at the first {MAX_PICTURES} pictures.)")
        return Answer(TurnState.DONE, self._partial.strip() or answers.empty())

    async def _imagine(self, reply: Reply, command: Imagine) -> Answer:
        stream = self._tools.provider.create_async_generator(
            IMAGE_MODEL,
            prompt=command.prompt,
            seed=self.turn.seed,
            guidance=command.guidance,
            conversation=await self._tools.store.conversation(self.turn.channel),
            return_conversation=True,
        )
        images = await self._drain(stream, reply)
        if not images:
            return Answer(TurnState.DONE, self._partial.strip() or answers.empty())
        keys = [
            await self._tools.pictures.put(
                made.data, made.media_type, turn_id=self.turn.id, recipe=made.recipe
            )
            for made in images
        ]
        return Answer(TurnState.DONE, answers.caption(images[0].recipe), tuple(keys))

    async def _drain(
        self, stream: AsyncGenerator[Response, None], reply: Reply
    ) -> Sequence[GeneratedImage]:
        images: list[GeneratedImage] = []
        async with contextlib.aclosing(stream):
            async for response in stream:
                match response:
                    case Text():
                        self._say(reply, response)
                    case Reasoning():
                        reply.show(response)
                    case ImageResponse():
                        images.extend(response.images)
                    case JsonConversation():
                        self._conversation = response
        return images

    def _say(self, reply: Reply, text: str) -> None:
        self._partial += text
        reply.show(Text(text))

    async def _related(self, exchanges: Sequence[Exchange]) -> tuple[str, ...]:
        """The picture that a question without one is about, if any."""
        if self.turn.reply_to is not None:
            turn = await self._tools.store.turn_of_message(self.turn.channel, self.turn.reply_to)
            made = turn.answer.pictures if turn and turn.answer else ()
            shown = turn.pictures if turn else ()
            if made or shown:
                return (made or shown)[:1]
        newest = history.newest_picture(exchanges)
        return () if newest is None else (newest,)

    async def _media(self, key: str) -> tuple[bytes, str]:
        data, media_type = await self._tools.pictures.get(key)
        return data, f"image.{media_type.rpartition('/')[2]}"

    async def _deliver(self, reply: Reply, answer: Answer) -> None:
        end = answer.outcome
        try:
            await reply.finish(answer, await self._made(answer))
        except MessageGone:
            end = TurnState.CANCELLED
        except SurfaceError as error:
            log.warning("answer could not be delivered", reason=str(error))
            end = TurnState.FAILED
        await self._save_as(end)
        seconds = time.time() - self.turn.accepted_at
        log.info("turn ended", state=end, seconds=round(seconds, 2), attempts=self.turn.attempts)
        self._tools.observer.turn_ended(self.turn, end, seconds)

    async def _made(self, answer: Answer) -> Sequence[Picture]:
        pictures = []
        prompt = self.turn.command.prompt if isinstance(self.turn.command, Imagine) else ""
        for number, key in enumerate(answer.pictures, start=1):
            try:
                data, media_type = await self._tools.pictures.get(key)
            except KeyError:
                log.warning("picture is gone", key=key)
                continue
            alt = f"{prompt} ({number} of {len(answer.pictures)})"
            pictures.append(Picture(key, data, media_type, alt))
        return pictures
