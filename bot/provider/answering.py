"""From a job to responses: one call of a Space, told as it goes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from bot.errors import GenerationFailed, ImageUnreadable, ProviderError
from bot.provider.gradio_client import CallEvent, GradioClient
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
from bot.provider.place import Place
from bot.provider.response import GeneratedImage, ImageResponse, Reasoning, Response, Stage, Text

_MAYBE_STALE = (*NOT_UP, GenerationFailed)
"""Errors that a Space gives, too, when it was redeployed and its functions have moved."""


async def answer(
    place: Place, client: GradioClient, job: Job, session_hash: str
) -> AsyncGenerator[Response, None]:
    """Do a job and yield what comes of it.

    A Space that sleeps is woken. One that was redeployed since it was last asked is looked at
    afresh and asked once more, if nothing but progress was yielded.

    Raises:
        ProviderError: there was no answer.
        ImageTooLarge: the Space does not take so large a picture.

    Cancelling: as `GradioClient.call`.
    """
    shown = False
    async with aclosing(ready(place)) as stages:
        async for stage in stages:
            yield stage
    known = place.server.cache.config
    try:
        async with aclosing(_once(place, client, job, session_hash)) as responses:
            async for response in responses:
                shown = shown or not isinstance(response, Reasoning)
                yield response
    except _MAYBE_STALE as error:
        if shown:
            raise
        reason: ProviderError = error
    else:
        return
    place.server.cache.forget()
    woken = False
    try:
        async with aclosing(ready(place)) as stages:
            async for stage in stages:
                woken = True
                yield stage
    except ProviderError as error:
        # Whether the Space is up explains why it did not answer, but not why it failed.
        raise (reason if isinstance(reason, GenerationFailed) else error) from reason
    if not woken and place.server.cache.config == known:
        raise reason
    async with aclosing(_once(place, client, job, session_hash)) as responses:
        async for response in responses:
            yield response


async def ready(place: Place) -> AsyncGenerator[Reasoning, None]:
    """Wait until the Space tells its configuration; wakes it if it sleeps.

    Raises:
        ProviderError: it does not, and waiting is of no use.
    """
    try:
        await place.server.config()
    except NOT_UP as error:
        if place.hub is None:
            raise
        reason: ProviderError = error
    else:
        return
    async with aclosing(place.hub.wake(place.server.config, reason)) as stages:
        async for stage in stages:
            yield stage


async def _once(
    place: Place, client: GradioClient, job: Job, session_hash: str
) -> AsyncGenerator[Response, None]:
    function = (await place.server.config()).function(job.function)
    if isinstance(job, Question):
        inputs = job.inputs(await picture(place.server, job.picture, job.media_type))
    else:
        inputs = job.inputs()
    progress = _Progress()
    text = _Growing()
    data: list[Any] = []
    async with aclosing(client.call(function, inputs, session_hash)) as events:
        async for event in events:
            if isinstance(event, Completed):
                data = event.data
            if isinstance(job, Question) and isinstance(event, Generating | Completed):
                if piece := text.grow(event.data, final=isinstance(event, Completed)):
                    yield Text(piece)
            elif step := progress.step(event):
                yield step
    if isinstance(job, Drawing):
        yield Reasoning(Stage.FETCHING)
        yield await _images(place, job, data)


async def _images(place: Place, job: Drawing, data: list[Any]) -> ImageResponse:
    match data:
        case [list(gallery), *_]:
            paths = [path for item in gallery if (path := _path(item))]
        case _:
            paths = []
    if not paths:
        raise GenerationFailed("The Space made no pictures.")
    files = await download(place.server, paths)
    return ImageResponse(
        [
            GeneratedImage(file, _media_type(file), job.recipe(place.name, index))
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


class _Growing:
    """Gives out only what is new of a text that grows."""

    def __init__(self) -> None:
        self._shown = ""

    def grow(self, data: list[Any], *, final: bool) -> str:
        """What was added; a text that begins anew is given out once it is final.

        Raises:
            GenerationFailed: there is no text, and there will be none.
        """
        text = data[0] if data and isinstance(data[0], str) else ""
        if final and not text:
            raise GenerationFailed("The Space gave an empty answer.")
        if text.startswith(self._shown):
            piece = text[len(self._shown) :]
        elif final:
            piece = f"\n\n{text}"
        else:
            return ""
        self._shown = text
        return piece


class _Progress:
    """Turns events into `Reasoning`, leaving out what says nothing new."""

    def __init__(self) -> None:
        self._last: Reasoning | None = None

    def step(self, event: CallEvent) -> Reasoning | None:
        """How far it is now, if that has changed."""
        step = self._read(event)
        if step is None or step == self._last:
            return None
        self._last = step
        return step

    def _read(self, event: CallEvent) -> Reasoning | None:
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
            case Progress() | Generating() | Completed():
                return None
