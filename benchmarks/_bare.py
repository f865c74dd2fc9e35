"""The least that a bot with the two client libraries does: log in, and answer with three dots.

    python benchmarks/_bare.py TELEGRAM_URL TELEGRAM_TOKEN DISCORD_API DISCORD_GATEWAY DISCORD_TOKEN

Run as a process it is the reference for starting; its parts are the reference for answering.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import discord.gateway
import discord.http
import yarl
from telegram import Update
from telegram.ext import Application, ContextTypes, MessageHandler, filters

DOTS = "…"


async def _answer(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
    if update.message is not None:
        await update.message.reply_text(DOTS, do_quote=True)


@asynccontextmanager
async def telegram_bot(url: str, token: str) -> AsyncIterator[None]:
    """A polling python-telegram-bot application."""
    builder = Application.builder().token(token)
    application = builder.base_url(f"{url}/bot").base_file_url(f"{url}/file/bot").build()
    application.add_handler(MessageHandler(filters.TEXT, _answer))
    async with application:
        await application.start()
        if application.updater is None:
            raise RuntimeError("a default application has an updater")
        await application.updater.start_polling()
        try:
            yield
        finally:
            await application.updater.stop()
            await application.stop()


class _Client(discord.Client):
    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            await message.reply(DOTS)


@asynccontextmanager
async def discord_bot(api: str, gateway: str, token: str) -> AsyncIterator[None]:
    """A connected discord.py client."""
    discord.http.Route.BASE = api
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    intents = discord.Intents.none()
    intents.guilds = intents.messages = True
    async with _Client(intents=intents) as client:
        await client.login(token)
        connection = asyncio.create_task(client.connect())
        try:
            yield
        finally:
            await client.close()
            await connection


async def main(
    telegram_url: str, telegram_token: str, api: str, gateway: str, discord_token: str
) -> None:
    """Both at once, until killed."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_for_ever(telegram_bot(telegram_url, telegram_token)))
        tasks.create_task(_for_ever(discord_bot(api, gateway, discord_token)))


async def _for_ever(bot: object) -> None:
    async with bot:  # type: ignore[attr-defined] # a context manager of either bot
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
