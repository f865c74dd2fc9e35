"""What people do on the local Discord besides writing and giving commands."""

from __future__ import annotations

from collections.abc import Iterator

from bot.actions import Action
from tests.servers.discord import DiscordServer
from tests.servers.discord_world import Channel, Interaction, Json, User


def general(server: DiscordServer) -> Channel:
    """The first channel."""
    return next(iter(server.channels.values()))


def ada(server: DiscordServer) -> User:
    """The first person."""
    return server.people[0]


def buttons(message: Json) -> dict[str, str]:
    """Labels of a message's buttons in order, each with what it carries."""
    return {each["label"]: each["custom_id"] for each in _all(message.get("components", []))}


async def presses(
    server: DiscordServer, user: User, channel: Channel, message_id: str, action: Action | str
) -> Interaction:
    """Somebody presses a button; which ones a message has is the caller's business."""
    data = {"custom_id": str(action), "component_type": 2}
    message = channel.messages[message_id]
    return await server.interact(user, channel, data, {}, type=3, message=message)


async def sends_in(
    server: DiscordServer, user: User, channel: Channel, action: Action | str, prompt: str
) -> Interaction:
    """Somebody sends in the form that a press opened."""
    field = {"type": 4, "id": 2, "custom_id": "prompt", "value": prompt}
    label = {"type": 18, "id": 1, "component": field}
    data = {"custom_id": str(action), "components": [label]}
    return await server.interact(user, channel, data, {}, type=5)


async def types(
    server: DiscordServer, user: User, channel: Channel, command: str, option: str, **given: str
) -> Interaction:
    """Somebody types into an option of a command, others being given already."""
    options: list[Json] = [
        {"name": name, "type": 3, "value": value, "focused": name == option}
        for name, value in given.items()
    ]
    data = {"name": command, "type": 1, "options": options}
    return await server.interact(user, channel, data, {}, type=4)


def _all(components: list[Json]) -> Iterator[Json]:
    for each in components:
        if "custom_id" in each:
            yield each
        yield from _all(each.get("components", []))
