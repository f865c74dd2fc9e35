"""One reply on Discord."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
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
from bot.platforms.discord.components_v2 import OutgoingMessage, needs_container
from bot.platforms.discord.endpoints import (
    ChannelEndpoint,
    Endpoint,
    InteractionEndpoint,
    rate_limit_info,
)
from bot.platforms.discord.errors import interaction_ended, needs_components_v2, translated
from bot.platforms.discord.files import Uploads
from bot.platforms.discord.parsing import DiscordTarget
from bot.reply.render import markdown
from bot.reply.surface import Anchor, Content, Limits, RateLimitInfo, Receipt, Search, Window

log = structlog.get_logger(__name__)

LIMITS: Final = Limits(
    text=2000,
    caption=2000,  # a container with pictures takes twice as much, so a note fits in as well
    files=10,
    # 5 requests per 5 s and channel, of which discord.py sleeps after the last until the count
    # begins anew; so that one is never taken, and one more is kept for the final state.
    interval=1.5,
    windows=(Window(4, 5.0),),
    attach=True,
    # 50 per second for the bot; answers to interactions do not count, commands and downloads do.
    rate=40.0,
    buttons=True,
    preview_seconds=10.0,
)

TOKEN_MARGIN_SECONDS: Final = 60.0
"""Before the end of an interaction's token the reply leaves it."""

REQUEST_TIMEOUT_SECONDS: Final = 120.0
"""For one request with discord.py's own tries: five after a 500, with 25 s between them."""

T = TypeVar("T")


def receipt_of(message_id: str) -> Receipt:
    """This platform's `Receipt`: each is one message."""
    return {"ids": [message_id]}


def message_id_in(receipt: Receipt) -> str:
    (message_id,) = receipt["ids"]
    return str(message_id)


class DiscordSurface:
    """A `bot.reply.surface.Surface` for a reply under an `Address` of this platform.

    An interaction's reply goes through its token, which needs no permission and counts towards no
    limit, until `TOKEN_MARGIN_SECONDS` before the token ends; then the same messages are changed
    with the bot's own token. Nothing but the address and the receipts is needed, so a surface made
    after a restart goes on where the old one stopped.

    Args:
        http: of a client that is logged in.
        address: made by this platform's adapter.
        me: the bot's user id.
        catalogue: the languages in which a picture is said to be left out.
        spoiler: pictures are covered until somebody wants to see them.
        recipe_in_png: pictures are sent as PNG files with their recipe inside.
        clock: Unix seconds.

    Attributes:
        limits: a direct message is private.
        rate_limit_info: what the headers of the newest answer said.
    """

    def __init__(  # noqa: PLR0913 - two of them are settings
        self,
        http: HTTPClient,
        address: Address,
        *,
        me: int,
        catalogue: Catalogue | None = None,
        spoiler: bool = False,
        recipe_in_png: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        target = DiscordTarget.from_address(address)
        words = (catalogue or Catalogue()).words(target.language)
        self._target = target
        self.limits = replace(LIMITS, private=target.private)
        self._uploads = Uploads(target.max_file_bytes, words, recipe_in_png=recipe_in_png)
        self._me = me
        self._spoiler = spoiler
        self._clock = clock
        self._interaction: InteractionEndpoint | None = None
        self._leave_at, placeholder = 0.0, None
        if (token := target.interaction) is not None:
            self._interaction = InteractionEndpoint(http, int(token.application_id), token.token)
            self._leave_at = token.expires - TOKEN_MARGIN_SECONDS
            placeholder = token.message_id
        self._channel = ChannelEndpoint(
            http,
            int(target.channel_id),
            reply_to=None if target.reply_to is None else int(target.reply_to),
            placeholder=placeholder,
        )
        self._first_nonce: str | None = None
        self.rate_limit_info: RateLimitInfo | None = None
        self._containers: set[str] = set()

    def anchor(self) -> Anchor:
        """What the reply is to: all its messages are newer."""
        return {"after": self._channel.after}

    async def find(self, search: Search) -> Receipt | None:
        """Read the channel for a message of the bot that answers the same and is no reply yet.

        A nonce does the same for some minutes, but not where one message follows another in the
        answer to an interaction, and not after a long pause.
        """
        if not self._target.member or (
            self._interaction is not None and self._is_first(search.nonce)
        ):
            return None
        await search.acquire()
        try:
            async with translated(REQUEST_TIMEOUT_SECONDS):
                candidates = await self._channel.answers(self._me, search.anchor["after"])
        except SurfaceForbidden:
            return None  # it may write here but not read
        for message_id in candidates:
            if not await search.is_known(message_id):
                return receipt_of(message_id)
        return None

    def measure(self, text: str) -> int:
        """UTF-16 units: never fewer than what Discord counts."""
        return len(text.encode("utf-16-le", "surrogatepass")) // 2

    async def create(self, content: Content, nonce: str) -> Receipt:
        """Show a new message.

        After a `DeliveryUnknown` the same nonce makes no second message, except where it is one
        that follows the first of an interaction: Discord knows no nonces on that route.
        """
        first = self._is_first(nonce)
        drawn = await self._drawn(content)
        try:
            message_id = await self._show(
                lambda endpoint, message: endpoint.create(message, nonce, first=first), drawn
            )
        except MessageGone as error:  # of a create: not a person's doing, so try again
            raise SurfaceUnavailable("Discord lost the message.") from error
        return receipt_of(message_id)

    async def edit(self, receipt: Receipt, content: Content) -> None:
        """Change a message. Its files are sent again, because a container names them."""
        message_id = message_id_in(receipt)
        drawn = await self._drawn(content, as_container=message_id in self._containers)
        await self._show(lambda endpoint, message: endpoint.edit(message_id, message), drawn)

    async def delete(self, receipt: Receipt) -> None:
        """Remove a message. One that is gone already counts as success."""
        message_id = message_id_in(receipt)
        try:
            await self._send(lambda endpoint: endpoint.delete(message_id))
        except MessageGone:
            pass
        except DeliveryUnknown as error:
            raise SurfaceUnavailable("Discord did not say whether it was deleted.") from error

    async def preview(self, content: Content) -> None:
        """Raises `PreviewUnsupported`: Discord has no drafts."""
        del content
        raise PreviewUnsupported("Discord has no drafts.")

    async def _drawn(self, content: Content, *, as_container: bool = False) -> OutgoingMessage:
        files, left_out = await self._uploads.fit(content.files or content.previews)
        text = markdown(content)
        return OutgoingMessage(
            f"{text}\n{left_out}".strip() if left_out else text,
            files,
            content.mood,
            content.buttons,
            as_container or needs_container(content, drawing=self._target.drawing),
            self._spoiler,
        )

    async def _show(
        self,
        request: Callable[[Endpoint, OutgoingMessage], Awaitable[JsonObject]],
        drawn: OutgoingMessage,
    ) -> str:
        """Make or change a message; its id. What has become a container stays one for good."""

        async def as_it_can_be(endpoint: Endpoint) -> JsonObject:
            nonlocal drawn
            try:
                return await request(endpoint, drawn)
            except discord.HTTPException as error:
                if drawn.as_container or not needs_components_v2(error):
                    raise
                drawn = replace(drawn, as_container=True)
                return await request(endpoint, drawn)

        message_id = str((await self._send(as_it_can_be))["id"])
        if drawn.as_container:
            self._containers.add(message_id)
        return message_id

    async def _send(self, request: Callable[[Endpoint], Awaitable[T]]) -> T:
        """One request: through the interaction while that lives, then through the channel."""
        try:
            async with translated(REQUEST_TIMEOUT_SECONDS):
                if self._interaction is not None and self._clock() < self._leave_at:
                    try:
                        return await request(self._interaction)
                    except discord.HTTPException as error:
                        if not interaction_ended(error):
                            raise
                        log.info("interaction ended early", code=error.code)
                        self._interaction = None
                if not self._target.member:
                    raise SurfaceForbidden("The interaction is over.", "discord-forbidden-late")
                return await request(self._channel)
        finally:
            self.rate_limit_info = rate_limit_info.get()

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
