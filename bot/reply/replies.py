"""Opens live replies: from a turn to its surface, its gate and what was acknowledged before."""

from __future__ import annotations

from collections.abc import Callable

from bot.errors import SurfaceError
from bot.messages import Address
from bot.reply.gates import Gates
from bot.reply.live_reply import Ledger, LiveReply
from bot.reply.surface import Surface
from bot.turn import Turn


class LiveReplies:
    """Implements `bot.turns.ports.Replies`.

    Args:
        surface: finds the surface of an address, whichever platform it is on.
        gates: shared by all replies.
        ledger: what survives a restart.
        clock: monotonic seconds, the same as of `gates`.
    """

    def __init__(
        self,
        surface: Callable[[Address], Surface],
        gates: Gates,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        self._surface = surface
        self._gates = gates
        self._ledger = ledger
        self._clock = clock

    async def open(self, turn: Turn, on_lost: Callable[[SurfaceError], None]) -> LiveReply:
        """As `bot.turns.ports.Replies.open`."""
        surface = self._surface(turn.address)
        reply = LiveReply(
            turn.id,
            surface,
            self._gates.gate(turn.address, surface.limits),
            self._ledger,
            clock=self._clock,
            on_lost=on_lost,
        )
        await reply.open()
        return reply
