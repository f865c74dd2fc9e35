"""Opens live replies: from a turn to its surface, its gate and what was acknowledged before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.errors import SurfaceError
from bot.language import Words
from bot.messages import Address, Person
from bot.reply.gates import Gates
from bot.reply.live_reply import LiveReply
from bot.reply.standing import Ledger
from bot.reply.surface import Surface
from bot.turn import Turn


class LiveReplies:
    """Implements `bot.turns.ports.Replies`.

    Args:
        surface: finds the surface of an address, whichever platform it is on.
        gates: shared by all replies.
        ledger: what survives a restart.
        tell: tells a person something outside any reply; false if there is no way.
    """

    def __init__(
        self,
        surface: Callable[[Address], Surface],
        gates: Gates,
        ledger: Ledger,
        tell: Callable[[Person, str], Awaitable[bool]],
    ) -> None:
        self._surface = surface
        self._gates = gates
        self._ledger = ledger
        self._tell = tell

    async def open(
        self, turn: Turn, words: Words, on_lost: Callable[[SurfaceError], None]
    ) -> LiveReply:
        """As `bot.turns.ports.Replies.open`."""
        surface = self._surface(turn.address)
        reply = LiveReply(
            turn.id,
            surface,
            self._gates.gate(turn.address, surface.limits),
            self._ledger,
            words=words,
            on_lost=on_lost,
        )
        await reply.open()
        return reply

    async def tell(self, person: Person, text: str) -> bool:
        """As `bot.turns.ports.Replies.tell`."""
        return await self._tell(person, text)
