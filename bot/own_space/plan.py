"""What would be started on this machine: asked of `bot.space`, which loads nothing for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from bot.errors import ModelNotServed
from bot.own_space.process import DOES_NOT_FIT, Lines, command, environment

TIMEOUT_SECONDS = 120.0
"""For the libraries to be imported and the machine to be looked at."""

_LAST_LINES = 3
_MAX_BYTES = 1024 * 1024


class Plan(BaseModel):
    """What `bot.space --plan --json` prints.

    Attributes:
        fits: whether it can be started.
        model: its name, or its folder.
        device: such as `cuda:0` or `cpu`.
        dtype: precision of the weights.
        pictures: drawn at a time.
        memory_needed: bytes.
        memory_free: bytes.
        download: bytes that are not on this machine yet.
        seconds_per_drawing: if it can be told.
        reason: why it is this one; if it does not fit, why not.
        alternatives: sentences that say what would fit.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    fits: bool
    model: str
    device: str
    dtype: str
    pictures: NonNegativeInt
    memory_needed: NonNegativeInt
    memory_free: NonNegativeInt
    download: NonNegativeInt
    seconds_per_drawing: float | None
    reason: str
    alternatives: tuple[str, ...] = ()


async def make_plan(
    model: str, *, timeout_seconds: float = TIMEOUT_SECONDS, program: tuple[str, ...] = ()
) -> Plan:
    """Ask what would be started for a `[[spaces]] model`.

    Args:
        model: as it is configured.
        timeout_seconds: for the answer.
        program: in place of `bot.space`, with the same answers.

    Raises:
        ModelNotServed: nothing would be; the text says why.

    Cancelling: ends the program.
    """
    process = await asyncio.create_subprocess_exec(
        *(program or command("--plan", "--json", model=model)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            told, complained = await asyncio.gather(_read(process.stdout), _read(process.stderr))
            code = await process.wait()
    except TimeoutError:
        raise ModelNotServed(
            f"bot.space did not say within {timeout_seconds:g} s what it would start."
        ) from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if code in {0, DOES_NOT_FIT}:
        with suppress(ValidationError):
            return Plan.model_validate_json(told)
    lines = Lines()
    said = " ".join([*lines.feed(complained), *lines.feed(b"")][-_LAST_LINES:])
    raise ModelNotServed(said or f"bot.space ended with code {code} and did not say why.")


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    """The end of what a program writes; all of it is taken, so that it never has to wait."""
    assert stream is not None  # noqa: S101 - asked for above
    data = b""
    while chunk := await stream.read(_MAX_BYTES):
        data = (data + chunk)[-_MAX_BYTES:]
    return data
