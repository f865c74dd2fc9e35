"""What there is to say beside an answer, and what must not be said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from bot.errors import BotError
from bot.provider.access import Caller, SpaceTarget
from bot.provider.responses import ImageResponse, Reasoning, Stage
from bot.redaction import Redactor


@asynccontextmanager
async def hushed(redact: Redactor) -> AsyncIterator[None]:
    """Takes the credentials of a call out of the error in which it ends."""
    try:
        yield
    except BotError as error:
        error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)
        raise


def missing(images: ImageResponse) -> Reasoning:
    """That pictures of a drawing could not be fetched."""
    made = len(images.images) + images.missing
    note = f"{images.missing} of {made} pictures could not be fetched from the Space."
    return Reasoning(Stage.FETCHING, note=note, level="warning")


def warnings(ignored: Sequence[str], target: SpaceTarget, caller: Caller) -> Iterator[Reasoning]:
    """What of the caller's is not used, and why."""
    yield from (Reasoning(Stage.CONNECTING, note=why, level="warning") for why in ignored)
    if target.hub is None:
        for what, given in (("api_key", caller.hf_token), ("cookies", caller.cookies)):
            if given:
                host = target.client.http.host
                note = f"The {what} given for Hugging Face is not used: {host} is not its host."
                yield Reasoning(Stage.CONNECTING, note=note, level="warning")
