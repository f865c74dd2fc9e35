"""What holds for every test."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.databases import blank, file_storage, storage, where
from tests.servers.discord_running import discord, discord_bot, empty_discord
from tests.servers.faulty_space import space
from tests.servers.postgres import postgres_server
from tests.servers.telegram_support import make_surface, telegram, telegram_client
from tests.servers.web_bot import visitor, web, web_bot

__all__ = [
    "blank",
    "discord",
    "discord_bot",
    "empty_discord",
    "file_storage",
    "make_surface",
    "postgres_server",
    "space",
    "storage",
    "telegram",
    "telegram_client",
    "visitor",
    "web",
    "web_bot",
    "where",
]  # fixtures that every test may ask for

# No deadline: on a busy machine a slow example is not a wrong one.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

# Nothing in the caller's environment may reach the bot under test.
for _name in [name for name in os.environ if name.startswith("JANUS_BOT_")]:
    del os.environ[_name]
for _name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have slow tests.

    `make test` gives one file after the other to whichever process is free. A slow one that came
    last would keep a single process busy at the end.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
