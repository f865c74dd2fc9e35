"""From a request to responses: one call of a Space, told as it goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.errors import GenerationFailed, ImageUnreadable, ProviderError
from bot.files import File
from bot.provider.gradio_client import CallEvent, GradioClient
from bot.provider.gradio_config import SpaceConfig
from bot.provider.gradio_events import (
    Completed,
    Estimation,
    Generating,
    Log,
    ProcessStarts,
    Progress,
)
from bot.provider.gradio_files import download, picture
from bot.provider.hugging_face import NOT_UP
from bot.provider.job import Drawing, Job, Question
from bot.provider.place import Access, Caller, Place
from bot.provider.responses import ImageResponse, JsonConversation, Reasoning, Response, Stage, Text

_MAYBE_STALE = (*NOT_UP, GenerationFailed)
"""Errors that a Space gives, too, when it was redeployed and its functions have moved."""
_ANSWERS = (Generating, Completed)
MAX_IMAGES = 20
"""Pictures of one call that are fetched; the original app makes five."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller wants.

    Attributes:
        job: works out what to ask of the Space.
        caller: who wants it.
        before: conversation of an earlier call, or an empty one.
        tell: whether to yield the new conversation before all else.
    """

    job: Callable[[], Job]
    caller: Caller
    before: JsonConversation
    tell: bool


async def answer(
    access: Access, session: aiohttp.ClientSession, request: Request
) -> AsyncGenerator[Response, None]:
    """Do what is wanted and yield what comes of it.

    A Space that sleeps is woken. One that was redeployed since it was last asked is looked at
    afresh and asked once more, if nothing but progress was yielded.

    Raises:
        ProviderError: there was no answer.
        ImageError: the picture cannot be read, or is larger than the Space takes.

    Cancelling: as `GradioClient.call`.
    """
    job = request.job()
    place = await access.find(request.caller, session)
    conversation = await access.conversation(place, request.caller, request.before)
    told: list[Response] = [conversation] if request.tell else []
    for first in (*told, *job.notes()):
        yield first
    cache, headers = place.server.cache, access.join_headers(place, conversation)
    reason: ProviderError | None = None
    answered = False
    while not answered:
        if cache.fresh() is None:
            async with aclosing(ready(place, reason)) as stages:
                async for stage in stages:
                    yield stage
        telling = _Telling(job)
        try:
            config = await place.server.config()
            function, inputs = config.function(job.function), await _inputs(place, config, job)
            client = GradioClient(place.server, config, headers)
            call = client.call(function, inputs, conversation.session_hash)
            async with aclosing(call) as events:
                async for event in events:
                    if response := telling.about(event):
                        yield response
            if isinstance(job, Drawing):
                yield Reasoning(Stage.FETCHING)
                yield await _images(place, job, telling.data)
            answered = True
        except _MAYBE_STALE as error:
            if reason is not None or telling.shown:
                raise
            reason = error
            cache.forget()


async def ready(
    place: Place, reason: ProviderError | None = None
) -> AsyncGenerator[Reasoning, None]:
    """Wait until the Space tells its configuration; wakes it if it sleeps.

    Args:
        place: which.
        reason: why it is looked at afresh; raised if it is as it was before.

    Raises:
        ProviderError: it does not tell, and waiting is of no use.
    """
    server = place.server
    known, woken = server.cache.config, False
    try:
        try:
            await server.config()
        except NOT_UP as error:
            if place.hub is None:
                raise
            woken = True
            async with aclosing(place.hub.wake(server.config, error)) as stages:
                async for stage in stages:
                    yield stage
    except ProviderError as error:
        # Whether the Space is up explains why it did not answer, but not why it failed.
        raise (reason if isinstance(reason, GenerationFailed) else error) from reason
    if reason is not None and not woken and server.cache.config == known:
        raise reason


async def _inputs(place: Place, config: SpaceConfig, job: Job) -> list[Any]:
    """The function's inputs; uploads the picture where that is needed."""
    if isinstance(job, Question):
        return job.inputs(await picture(place.server, config, job.picture, job.media_type))
    return job.inputs()


async def _images(place: Place, job: Drawing, data: list[Any]) -> ImageResponse:
    match data:
        case [list(gallery), *_]:
            paths = [path for item in gallery[:MAX_IMAGES] if (path := _path(item))]
        case _:
            paths = []
    if not paths:
        raise GenerationFailed("The Space made no pictures.")
    files = await download(place.server, paths)
    return ImageResponse(
        [
            File(file, _media_type(file), recipe=job.recipe(place.name, index))
            for index, file in enumerate(files)
        ]
    )


def _path(item: Any) -> str:
    """The path in an entry of a gallery; its `url` may name a host that only the server sees."""
    match item:
        case {"image": {"path": str(path)}}:
            return path
        case _:
            return ""


def _media_type(data: bytes) -> str:
    from bot.image import is_accepted_format  # noqa: PLC0415 - Pillow, only for pictures

    try:
        return is_accepted_format(data)
    except ImageUnreadable:
        raise GenerationFailed("The Space sent something that is not a picture.") from None


class _Telling:
    """Turns the events of one call into responses, leaving out what says nothing new.

    Args:
        job: what was asked.

    Attributes:
        data: the newest value of each output.
        shown: whether any of the answer was told, so that it cannot be begun again.
    """

    def __init__(self, job: Job) -> None:
        self.data: list[Any] = []
        self._text: str | None = "" if isinstance(job, Question) else None
        self._last: Reasoning | None = None

    @property
    def shown(self) -> bool:
        return bool(self._text)

    def about(self, event: CallEvent) -> Text | Reasoning | None:
        """What there is to say about an event.

        Raises:
            GenerationFailed: there is no text, and there will be none.
        """
        if isinstance(event, _ANSWERS):
            self.data = event.data
            final = isinstance(event, Completed)
            return None if self._text is None else self._grown(self._text, final=final)
        step = self._step(event)
        if step is None or step == self._last:
            return None
        self._last = step
        return step

    def _grown(self, shown: str, *, final: bool) -> Text | None:
        """What was added; a text that begins anew is given out once it is final."""
        text = self.data[0] if self.data and isinstance(self.data[0], str) else ""
        if final and not text:
            raise GenerationFailed("The Space gave an empty answer.")
        if text.startswith(shown):
            piece = text[len(shown) :]
        elif final:
            piece = f"\n\n{text}"
        else:
            return None
        self._text = text
        # JSON can hold halves of characters, which could be sent nowhere.
        return Text(piece.encode("utf-8", "replace").decode()) if piece else None

    def _step(self, event: CallEvent) -> Reasoning | None:
        match event:
            case Estimation(rank=rank, queue_size=size, eta=eta):
                return Reasoning(Stage.QUEUED, rank=rank, queue_size=size, eta=eta)
            case ProcessStarts(eta=eta):
                return Reasoning(Stage.RUNNING, eta=eta)
            case Progress(units=(*_, inner)):
                fraction = None if inner.fraction is None else min(1.0, max(0.0, inner.fraction))
                return Reasoning(
                    Stage.RUNNING,
                    index=inner.index,
                    length=inner.length,
                    fraction=fraction,
                    unit=inner.unit,
                    note=inner.description,
                )
            case Log(text=text, level=level):
                stage = self._last.stage if self._last else Stage.QUEUED
                return Reasoning(stage, note=text, level=level)
            case _:
                return None
