"""A Discord client that joins all its servers and does nothing else, in a process of its own.

    python benchmarks/_scale_client.py bare|adapter DISCORD_API DISCORD_GATEWAY DISCORD_TOKEN

`bare` is discord.py as it sets itself up, nothing switched off; `adapter` is the bot's side of
Discord without the rest of the bot.
"""

from __future__ import annotations

import asyncio
import sys


async def bare(api: str, gateway: str, token: str) -> None:
    """Connected until killed."""
    import discord  # noqa: PLC0415 - each process imports what it needs, as a program would
    import discord.gateway  # noqa: PLC0415 - same
    import discord.http  # noqa: PLC0415 - same
    import yarl  # noqa: PLC0415 - same

    discord.http.Route.BASE = api
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    intents = discord.Intents.none()
    intents.guilds = intents.messages = intents.message_content = True
    async with discord.Client(intents=intents) as client:
        await client.start(token)


async def adapter(api: str, gateway: str, token: str) -> None:
    """The same with the bot's adapter; nothing comes in, so nothing is handled."""
    from bot.platforms.discord.adapter import DiscordAdapter  # noqa: PLC0415 - as above

    class Nobody:
        async def seen(self, platform: str, since: float) -> list[object]:
            del platform, since
            return []

    one = DiscordAdapter(token=token, api_url=api, gateway_url=gateway)
    await one.open()
    await one.serve(Nobody(), lambda _: None)  # type: ignore[arg-type] # all that is asked of it


if __name__ == "__main__":
    asyncio.run({"bare": bare, "adapter": adapter}[sys.argv[1]](*sys.argv[2:5]))
