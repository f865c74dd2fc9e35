"""Several Spaces as one provider: tried in order, each with a limit and a memory of failures."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bot.errors import (
    BadInput,
    CredentialsRefused,
    GenerationCancelled,
    GenerationTimeout,
    ModelNotServed,
    ModelStarting,
    ProviderError,
    QueueFull,
    QuotaExceeded,
    SpaceAsleep,
    SpaceBroken,
    SpaceBuilding,
    SpaceNotFound,
    SpacePaused,
    SpaceUnreachable,
    StreamLost,
)
from bot.provider.janus import DeepseekAI_JanusPro7b
from bot.provider.responses import (
    AsyncGeneratorProvider,
    GpuTime,
    ImageResponse,
    Reasoning,
    Response,
    Stage,
    Text,
)

_SPACE_IS_DOWN = (
    SpaceUnreachable,
    SpaceAsleep,
    SpaceBuilding,
    SpacePaused,
    SpaceBroken,
    SpaceNotFound,
    CredentialsRefused,
    ModelStarting,
    ModelNotServed,
    StreamLost,
)
"""Errors that say something about the Space and not about the request; they open its circuit."""
_SAME_ELSEWHERE = (BadInput, GenerationTimeout, GenerationCancelled)
"""Errors that no other Space helps with; after any other, one may well have an answer."""

_ASKS_TO_WAIT = (QuotaExceeded, QueueFull)
"""Errors with which a Space may say for how long to leave it alone."""

_log = logging.getLogger(__name__)


class Circuit:
    """Remembers whether a Space is worth asking.

    Closed at first. `max_failures` in a row open it for `wait_seconds`; then one request at a time
    is let through as a probe, and its success closes it. A Space that says itself when it will
    work again is left alone until then.

    Args:
        max_failures: in a row.
        wait_seconds: from the newest failure to the first probe.
        clock: seconds from any moment on, never going back.
    """

    def __init__(self, max_failures: int, wait_seconds: float, clock: Callable[[], float]) -> None:
        self._max_failures = max_failures
        self._wait = wait_seconds
        self._clock = clock
        self._failures = 0
        self._open_until = 0.0
        self._rest_until = 0.0
        self._probing = False

    @property
    def lets_through(self) -> bool:
        """Whether a request should go to this Space now."""
        if self._clock() < self._rest_until:
            return False
        if self._failures < self._max_failures:
            return True
        return not self._probing and self._clock() >= self._open_until

    def rest(self, seconds: float) -> None:
        self._rest_until = self._clock() + seconds

    def begin(self) -> bool:
        """A request goes to this Space; whether it is a probe."""
        probe = self._failures >= self._max_failures
        self._probing = self._probing or probe
        return probe

    def end(self, *, ok: bool | None, probe: bool) -> None:
        """A request is over.

        Args:
            ok: whether it worked; `None` if it says nothing about the Space.
            probe: what `begin` said of it. Others may have begun before the circuit opened.
        """
        if probe:
            self._probing = False
        if ok:
            self._failures = 0
        elif ok is False:
            self._failures += 1
            self._open_until = self._clock() + self._wait


class Space(AsyncGeneratorProvider, Protocol):
    """One of several; see `DeepseekAI_JanusPro7b`."""

    @property
    def name(self) -> str: ...

    async def check(self) -> str: ...


@runtime_checkable
class Metered(Protocol):
    """A Space that knows of the GPU time for it; see `DeepseekAI_JanusPro7b`."""

    @property
    def gpu_time(self) -> GpuTime: ...

    async def ask_gpu_time(self) -> GpuTime: ...


@dataclass(slots=True)
class _Member:
    """A Space with what `Spaces` knows of it."""

    provider: Space
    circuit: Circuit
    limit: int
    slots: asyncio.Semaphore


class Spaces(AsyncGeneratorProvider):
    """Several Spaces as one provider: they are tried in order until one has an answer.

    A request moves on only as long as nothing but progress was yielded, and only after an error
    where another Space may help. A Space is passed over for a later one if it failed too often, if
    it said for how long to leave it alone (no quota left, or too many requests), if the account has
    less GPU time left than a call of it asks for, or if its slots are all taken; if there is no
    other, it is asked (or waited for) all the same.

    Args:
        providers: in the order in which to try them; at least one.
        concurrency: requests at once per Space, for all or one by one; 0 for no limit.
        failures: in a row, until a Space is passed over.
        wait: seconds until it is tried again.
        clock: seconds from any moment on, never going back.

    Raises:
        ValueError: there is no provider, or there are not as many limits as providers.
    """

    default_model = DeepseekAI_JanusPro7b.default_model
    default_image_model = DeepseekAI_JanusPro7b.default_image_model
    default_vision_model = DeepseekAI_JanusPro7b.default_vision_model

    def __init__(
        self,
        providers: Sequence[Space],
        *,
        concurrency: int | Sequence[int] = 0,
        failures: int = 3,
        wait: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = [concurrency] * len(providers) if isinstance(concurrency, int) else concurrency
        if not providers or len(limits) != len(providers):
            raise ValueError("there has to be a Space, and a limit for each")
        self._members = [
            _Member(
                provider,
                Circuit(failures, wait, clock),
                limit,
                asyncio.Semaphore(limit or sys.maxsize),
            )
            for provider, limit in zip(providers, limits, strict=True)
        ]

    @property
    def slots(self) -> int:
        """Requests that can run at once on the Spaces that are well now; 0 for no limit.

        If none is well, it is the limit of the first, which is the one that is asked then.
        """
        limits = [member.limit for member in self._members if member.circuit.lets_through]
        limits = limits or [self._members[0].limit]
        return sum(limits) if all(limits) else 0

    async def create_async_generator(
        self, model: str = "", messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Answer a conversation, or make pictures, on the first Space that can.

        Args:
            model: see `DeepseekAI_JanusPro7b.create_async_generator`.
            messages: see there.
            options: all others of its options, by name.

        Yields:
            What the Space's own provider yields.

        Raises:
            ProviderError: no Space had an answer. Of several errors it is the first that tells
                when to try again, or else the first.

        Cancelling: gives up the request and frees its slot.
        """
        # With a key or cookies of the caller's own, a limit that is reached is the caller's.
        own_account = options.get("api_key") or options.get("cookies")
        left = list(self._members)
        poor = () if own_account or len(left) == 1 else await self._without_gpu_time()
        errors: list[ProviderError] = []
        while left:
            well = [member for member in left if member.circuit.lets_through and member not in poor]
            free = [member for member in well if not member.slots.locked()]
            member = (free or well or left)[0]
            left.remove(member)
            if member.slots.locked():
                yield Reasoning(Stage.QUEUED)
            shown = False
            ok: bool | None = None
            async with member.slots:
                probe = member.circuit.begin()
                try:
                    stream = member.provider.create_async_generator(model, messages, **options)
                    async with aclosing(stream) as responses:
                        async for response in responses:
                            shown = shown or isinstance(response, Text | ImageResponse)
                            yield response
                    ok = True
                except ProviderError as error:
                    if isinstance(error, _SPACE_IS_DOWN):
                        ok = False
                    elif isinstance(error, _ASKS_TO_WAIT) and error.retry_after and not own_account:
                        member.circuit.rest(error.retry_after)
                    if shown or isinstance(error, _SAME_ELSEWHERE):
                        raise
                    errors.append(error)
                    _log.info("%s failed: %s", member.provider.name, type(error).__name__)
                else:
                    return
                finally:
                    member.circuit.end(ok=ok, probe=probe)
        raise next((error for error in errors if error.retry_after is not None), errors[0])

    async def _without_gpu_time(self) -> Sequence[_Member]:
        """Those that would refuse a call now, because it asks for more than is left."""
        times = await asyncio.gather(*(_gpu_time(each.provider) for each in self._members))
        poor = [
            each
            for each, known in zip(self._members, times, strict=True)
            if known is not None and not known.suffices
        ]
        for member in poor:
            _log.info("%s is passed over: its GPU time does not suffice", member.provider.name)
        return poor

    @property
    def gpu_time(self) -> list[GpuTime]:
        """What is known of the GPU time of each Space that knows it, without asking anybody."""
        providers = (member.provider for member in self._members)
        return [each.gpu_time for each in providers if isinstance(each, Metered)]

    async def ask_gpu_time(self) -> list[GpuTime]:
        """The same, asked of Hugging Face at most once a minute for each account."""
        times = await asyncio.gather(*(_gpu_time(member.provider) for member in self._members))
        return [each for each in times if each is not None]

    @property
    def calls_left(self) -> int | None:
        """About how many drawings all Spaces let in now; `None` if not known, or without limit."""
        counts = [known.calls for known in self.gpu_time]
        if len(counts) < len(self._members) or None in counts:
            return None
        return sum(count for count in counts if count is not None)

    async def check(self) -> list[tuple[str, ProviderError | None]]:
        """Ask every Space at once whether it can be used. Wakes none and uses no quota.

        Returns:
            The name of each, and what is wrong with it or `None`.
        """
        return [
            (name, found if isinstance(found, ProviderError) else None)
            for name, found in await self.examine()
        ]

    async def examine(self) -> list[tuple[str, str | ProviderError]]:
        """The same, with what `check` of each Space says in place of `None`."""
        return await asyncio.gather(*(_health(member.provider) for member in self._members))


async def _gpu_time(provider: Space) -> GpuTime | None:
    return await provider.ask_gpu_time() if isinstance(provider, Metered) else None


async def _health(provider: Space) -> tuple[str, str | ProviderError]:
    try:
        return provider.name, await provider.check()
    except ProviderError as error:
        return provider.name, error
