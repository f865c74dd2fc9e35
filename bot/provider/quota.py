"""GPU time on ZeroGPU Spaces: what an account has left, and what a Space asks for.

A call is let in only while the time that it asks for is left, whatever it then uses (Hugging Face's
documentation of November 2026). The public Space asks for 120 s a call, in its source.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime
from http import HTTPStatus
from typing import Any
from weakref import WeakValueDictionary

from bot.errors import ProviderError
from bot.provider.http import HttpClient
from bot.provider.json import parse_json
from bot.provider.responses import DRAWING_SECONDS, GpuTime

ANONYMOUS_SECONDS, FREE_SECONDS, PRO_SECONDS = 120.0, 300.0, 2400.0
"""A day: a visitor without an account, with a free one, and with PRO."""
PUBLIC_SPACE_ASKS = 120.0

_FRESH_SECONDS = 60.0
"""For which an answer is good; the Hub is not asked more often."""
_REMEMBERED_SECONDS = 3600.0
"""For which a Space counts as asking for what it last refused; some ask for less later."""
_ANSWER_SECONDS = 5.0
"""To wait for the Hub: whoever waits has a request to make."""
_PATH = "/api/spaces/zero-gpu/quota"

_log = logging.getLogger(__name__)


class Account:
    """What one account has left, asked of the Hub at most once a minute.

    Attributes:
        newest: what is known, without asking; all `None` before it was asked.
    """

    def __init__(self) -> None:
        self.newest = GpuTime("")
        self._asked_at = float("-inf")
        self._asking: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    async def left(self, hub: HttpClient) -> GpuTime:
        """What is known, asked anew if that is old. Fails never: `why` tells why it is not known.

        Args:
            hub: with the account's token.
        """
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking[0] is not loop:
            self._asking = loop, asyncio.Lock()
        async with self._asking[1]:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                self._asked_at = time.monotonic()
                self.newest = await _ask(hub)
        return self.newest


_accounts: WeakValueDictionary[tuple[str, str], Account] = WeakValueDictionary()


def account(hub_url: str, hf_token: str) -> Account:
    """The account of a token; the same one for all Spaces that are asked with it."""
    key = hub_url, hf_token
    found = _accounts.get(key)
    if found is None:
        found = _accounts[key] = Account()
    return found


async def _ask(hub: HttpClient) -> GpuTime:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await hub.fetch("GET", _PATH)
    except (ProviderError, TimeoutError) as error:
        _log.debug("quota not known: %r", error)
        return GpuTime("", why="Hugging Face does not answer.")
    return _read(answer.status, parse_json(answer.body))


def _read(status: int, data: Any) -> GpuTime:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return GpuTime(
            "",
            why="Hugging Face does not tell it to this token. A fine-grained one needs the right "
            '"billing read", which is given at https://huggingface.co/settings/tokens; if it has '
            "that, it is expired or mistyped.",
        )
    match data:
        case {"base": int() | float() as base, "current": int() | float() as left} if (
            status == HTTPStatus.OK
        ):
            runs = data.get("runs")
            if isinstance(runs, dict) and runs.get("remaining") == 0:
                left = 0  # calls are counted, too
            return GpuTime("", base=float(base), left=float(left), resets_at=_moment(data))
        case _:
            return GpuTime(
                "", why=f"Hugging Face answers with HTTP {status}, and not with figures."
            )


def _moment(data: dict[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(data["resetsAt"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


class Asks:
    """What one Space asks for per call, as far as that is known.

    Args:
        usual: seconds, as its source says; `None` if it is not known.
    """

    def __init__(self, usual: float | None) -> None:
        self._usual = usual
        self._refused: tuple[float, float] | None = None

    @property
    def seconds(self) -> float | None:
        """Of the newest refusal, or the usual ones."""
        if self._refused and time.monotonic() - self._refused[1] < _REMEMBERED_SECONDS:
            return self._refused[0]
        return self._usual

    def refused(self, requested: float | None) -> None:
        """The Space refused a call, perhaps saying what it asked for."""
        if requested:
            self._refused = float(requested), time.monotonic()


def advice(asks: float) -> str:
    """What each kind of visitor gets of a Space that asks for this many seconds a call."""
    anonymous, free, pro = (
        GpuTime("", left=seconds, asks=asks).calls or 0
        for seconds in (ANONYMOUS_SECONDS, FREE_SECONDS, PRO_SECONDS)
    )
    return (
        f"without a token about {anonymous} request{'' if anonymous == 1 else 's'} a day; with the "
        f"hf_token of a free account about {free} drawings, of a PRO account about {pro}; a Space "
        "of your own: no limit"
    )


def described(gpu: GpuTime) -> str:
    """What there is to say about it to whoever set the bot up."""
    if not gpu.limited:
        return "no limit on GPU time"
    asks = "" if gpu.asks is None else f"a call asks for {gpu.asks:g} s of GPU time"
    if gpu.anonymous:
        told = advice(PUBLIC_SPACE_ASKS if gpu.asks is None else gpu.asks)
        return f"{asks}; {told}" if asks else f"if it runs on ZeroGPU: {told}"
    if gpu.left is None:
        why = gpu.why or "it was not asked yet"
        return "; ".join(filter(None, [asks, f"how much the account has left is not known: {why}"]))
    of = "" if gpu.base is None else f" of {gpu.base:g}"
    parts = [f"{gpu.left:g}{of} s of GPU time are left", asks]
    if gpu.calls is not None:
        parts.append(f"about {gpu.calls} drawings of {DRAWING_SECONDS:g} s")
    if gpu.resets_at is not None:
        when = datetime.fromtimestamp(gpu.resets_at).astimezone()
        parts.append(f"all of it is back at {when:%Y-%m-%d %H:%M %Z}")
    return "; ".join(filter(None, parts))
