"""One reply on Discord."""

from __future__ import annotations

import re
import time
from asyncio import timeout
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import discord
import structlog
from discord.http import HTTPClient

from bot.errors import (
    DeliveryUnknown,
    MessageGone,
    PreviewUnsupported,
    SurfaceForbidden,
    SurfaceUnavailable,
)
from bot.i18n import Catalogue
from bot.models import Address, JsonObject
from bot.platforms.discord.endpoints import ChannelEndpoint, Endpoint, InteractionEndpoint
from bot.platforms.discord.faults import interaction_ended, is_box, translated
from bot.platforms.discord.fitting import Fitting
from bot.platforms.discord.look import is_boxed
from bot.platforms.discord.notices import LARGEST
from bot.platforms.discord.rate_limit_info import newest
from bot.reply.surface import Anchor, Content, Limits, RateLimitInfo, Receipt, Search, Window

log = structlog.get_logger(__name__)

LIMITS: Final = Limits(
    text=2000,
    caption=2000,  # a box with pictures takes twice as much, so a note fits in as well
    files=10,
    # 5 requests per 5 s and channel, of which discord.py sleeps after the last until the count
    # begins anew; so that one is never taken, and one more is kept for the final state.
    interval=1.5,
    windows=(Window(4, 5.0),),
    attach=True,
    # 50 per second for the bot; answers to interactions do not count, commands and downloads do.
    rate=40.0,
    buttons=True,
)

MARGIN = 60.0
"""Seconds before the end of an interaction's token at which the reply leaves it."""

REQUEST_TIMEOUT = 120.0
"""Seconds for one request with discord.py's own tries: five after a 500, with 25 s between them."""

T = TypeVar("T")


class DiscordSurface:
    """A reply under an `Address` of this platform.

    An interaction's reply goes through its token, which needs no permission and counts towards no
    limit, until `MARGIN` before the token ends; then the same messages are changed with the bot's
    own token. Nothing but the address and the receipts is needed, so a surface made after a
    restart goes on where the old one stopped.

    Args:
        http: of a client that is logged in.
        address: made by this platform's adapter.
        me: the bot's user id.
        catalogue: the languages in which a picture is said to be left out.
        spoiler: pictures are covered until somebody wants to see them.
        keepsakes: pictures are PNG files with the recipe inside.
        clock: Unix seconds.
    """

    def __init__(  # noqa: PLR0913 - two of them are settings
        self,
        http: HTTPClient,
        address: Address,
        *,
        me: int,
        catalogue: Catalogue | None = None,
        spoiler: bool = False,
        keepsakes: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        data = address.data
        words = (catalogue or Catalogue()).words(data.get("language", ""))
        self._fitting = Fitting(data.get("largest", LARGEST), words, keepsakes=keepsakes)
        interaction: JsonObject | None = data.get("interaction")
        reply_to = data.get("reply_to")
        self._clock = clock
        self._channel = ChannelEndpoint(
            http,
            int(data["channel_id"]),
            me=me,
            reply_to=None if reply_to is None else int(reply_to),
            placeholder=interaction["message_id"] if interaction else None,
            spoiler=spoiler,
        )
        self._interaction: InteractionEndpoint | None = None
        self._leave_at = 0.0
        if interaction is not None:
            self._interaction = InteractionEndpoint(
                http, int(interaction["application_id"]), interaction["token"], spoiler=spoiler
            )
            self._leave_at = interaction["expires"] - MARGIN
        self._member: bool = data.get("member", True)
        self._first_nonce: str | None = None
        self._headroom: RateLimitInfo | None = None
        self._files: dict[str, tuple[str, ...]] = {}
        self._drawing: bool = data.get("drawing", False)
        self._boxes: set[str] = set()

    @property
    def limits(self) -> Limits:
        """The same everywhere on Discord."""
        return LIMITS

    @property
    def rate_limit_info(self) -> RateLimitInfo | None:
        """What the headers of the newest answer said."""
        return self._headroom

    def anchor(self) -> Anchor:
        """What the reply is to: all its messages are newer."""
        return {"after": self._channel.after}

    async def find(self, search: Search) -> Receipt | None:
        """Read the channel for a message of the bot that answers the same and is no reply yet.

        A nonce does the same for some minutes, but not where one message follows another in the
        answer to an interaction, and not after a long pause.
        """
        if not self._member or (self._interaction is not None and self._is_first(search.nonce)):
            return None
        await search.turn()
        try:
            with translated():
                async with timeout(REQUEST_TIMEOUT):
                    candidates = await self._channel.answers(search.anchor["after"])
        except SurfaceForbidden:
            return None  # it may write here but not read
        for message_id in candidates:
            if not await search.known(message_id):
                return {"ids": [message_id]}
        return None

    def measure(self, text: str) -> int:
        """UTF-16 units: never fewer than what Discord counts."""
        return len(text.encode("utf-16-le", "surrogatepass")) // 2

    async def create(self, content: Content, nonce: str) -> Receipt:
        """As `Surface.create`.

        After a `DeliveryUnknown` the same nonce makes no second message, except where it is one
        that follows the first of an interaction: Discord knows no nonces on that route.
        """
        first = self._is_first(nonce)
        shown = await self._fitting(content)

        async def request(endpoint: Endpoint, boxed: bool) -> str:
            made = await endpoint.create(shown, nonce, first=first, boxed=boxed)
            return str(made["id"])

        try:
            message_id = await self._show(request, is_boxed(content, drawing=self._drawing))
        except MessageGone as error:  # of a create: not a person's doing, so try again
            raise SurfaceUnavailable("Discord lost the message.") from error
        self._files[message_id] = _keys(content)
        return {"ids": [message_id]}

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """As `Surface.edit`. Files that the message is known to have are not sent again.

        Except in a box, which names its pictures: a request finds by name what it brings along.
        """
        message_id: str = receipt["ids"][0]
        boxed = message_id in self._boxes or is_boxed(content, drawing=self._drawing)
        # Forgotten until the answer is here: a request that was cut off may have changed them.
        same = self._files.pop(message_id, None) == _keys(content)
        shown = await self._fitting(content)

        async def request(endpoint: Endpoint, boxed: bool) -> str:
            keep = same and not (boxed and shown.files)
            await endpoint.edit(message_id, shown, keep=keep, boxed=boxed)
            return message_id

        await self._show(request, boxed)
        self._files[message_id] = _keys(content)

    async def delete(self, receipt: Receipt) -> None:
        """As `Surface.delete`."""
        (message_id,) = receipt["ids"]

        async def request(endpoint: Endpoint) -> None:
            await endpoint.delete(message_id)

        try:
            await self._send(request)
        except MessageGone:
            pass
        except DeliveryUnknown as error:
            raise SurfaceUnavailable("Discord did not say whether it was deleted.") from error

    async def preview(self, content: Content) -> None:
        """Discord has no drafts.

        Raises:
            PreviewUnsupported: always.
        """
        del content
        raise PreviewUnsupported("Discord has no drafts.")

    async def _show(self, request: Callable[[Endpoint, bool], Awaitable[str]], boxed: bool) -> str:
        """Make or change a message; its id. What has become a box is shown as one for good."""

        async def as_it_can_be(endpoint: Endpoint) -> str:
            nonlocal boxed
            try:
                return await request(endpoint, boxed)
            except discord.HTTPException as error:
                if boxed or not is_box(error):
                    raise
                boxed = True
                return await request(endpoint, boxed)

        message_id = await self._send(as_it_can_be)
        if boxed:
            self._boxes.add(message_id)
        return message_id

    async def _send(self, request: Callable[[Endpoint], Awaitable[T]]) -> T:
        """One request, and what Discord said about the next ones."""
        try:
            return await self._through_the_right_door(request)
        finally:
            self._headroom = newest()

    async def _through_the_right_door(self, request: Callable[[Endpoint], Awaitable[T]]) -> T:
        """Through the interaction while it lives, then through the channel."""
        with translated():
            async with timeout(REQUEST_TIMEOUT):
                if self._interaction is not None and self._clock() < self._leave_at:
                    try:
                        return await request(self._interaction)
                    except discord.HTTPException as error:
                        if not interaction_ended(error):
                            raise
                        log.info("interaction ended early", code=error.code)
                        self._interaction = None
                if not self._member:
                    raise SurfaceForbidden("The interaction is over.", "discord-forbidden-late")
                return await request(self._channel)

    def _is_first(self, nonce: str) -> bool:
        """Whether a message is the reply's first, which takes the placeholder's place.

        A nonce that ends in the message's number ("…-0") says so, after a restart as well; with
        any other the first one seen counts.
        """
        numbered = re.search(r"[-.:](\d+)$", nonce)
        if numbered is not None:
            return int(numbered[1]) == 0
        if self._first_nonce is None:
            self._first_nonce = nonce
        return nonce == self._first_nonce


def _keys(content: Content) -> tuple[str, ...]:
    return tuple(upload.key for upload in content.files)
