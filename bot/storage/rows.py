"""Turns as rows of the database and back. Pure; every field survives the round trip."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, assert_never

from bot.errors import StorageError
from bot.models import (
    Address,
    Answer,
    Ask,
    Attachment,
    ChannelKey,
    Exchange,
    Imagine,
    JsonObject,
    Person,
    Turn,
    TurnState,
)
from bot.storage.schema import storable


def turn_to_row(turn: Turn) -> dict[str, Any]:
    """All columns of `turns` but `position` and `epoch`, which the database gives."""
    return {
        "id": turn.id,
        "channel": str(turn.channel),
        "message_id": turn.message_id,
        "person_platform": turn.person.platform,
        "person_id": turn.person.id,
        "person_name": turn.person.name,
        "person_language": turn.person.language,
        "reply_to": turn.reply_to,
        "accepted_at": turn.accepted_at,
        "server": turn.server,
        "parent": turn.parent,
        "command": {
            "kind": "imagine" if isinstance(turn.command, Imagine) else "ask",
            **asdict(turn.command),
        },
        "attachments": [asdict(attachment) for attachment in turn.attachments],
        "seed": turn.seed,
        "drawing": isinstance(turn.command, Imagine),
        "address": asdict(turn.address),
        "state": str(turn.state),
        "attempts": turn.attempts,
        "pictures": list(turn.pictures),
        "answer": None if turn.answer is None else asdict(turn.answer),
        "parked_until": turn.parked_until,
        "updated_at": time.time(),
    }


def turn_from_row(row: Mapping[Any, Any]) -> Turn:
    """Read what `turn_to_row` wrote.

    Raises:
        StorageError: the row does not hold a turn; somebody else changed it.
    """
    try:
        return Turn(
            id=row["id"],
            channel=ChannelKey.parse(row["channel"]),
            message_id=row["message_id"],
            person=Person(
                row["person_platform"],
                row["person_id"],
                row["person_name"],
                row["person_language"],
            ),
            command=_command_from_json(row["command"]),
            address=Address(**row["address"]),
            seed=row["seed"],
            accepted_at=row["accepted_at"],
            attachments=tuple(Attachment(**each) for each in row["attachments"]),
            reply_to=row["reply_to"],
            state=TurnState(row["state"]),
            attempts=row["attempts"],
            pictures=tuple(row["pictures"]),
            answer=_answer_from_json(row["answer"]),
            parked_until=row["parked_until"],
            server=row["server"],
            parent=row["parent"],
        )
    except (TypeError, ValueError, KeyError) as error:
        raise _unreadable(row["id"], error) from error


def exchange_from_row(row: Mapping[Any, Any]) -> Exchange | None:
    """A turn as history, from its id, `person_name`, `command`, `pictures` and `answer`.

    Returns:
        `None` if the turn did not end well.

    Raises:
        StorageError: the row does not hold a turn; somebody else changed it.
    """
    try:
        answer = _answer_from_json(row["answer"])
        if answer is None or answer.outcome is not TurnState.DONE:
            return None
        match _command_from_json(row["command"]):
            case Ask(question=asked):
                said = answer.text
            case Imagine(prompt=asked):
                said = ""  # what the bot writes beside pictures is no part of the conversation
            case other:
                assert_never(other)
        pictures = (*row["pictures"], *answer.pictures)
        # Providers write UTF-8 as well, so they cannot take everything that JSON can.
        return Exchange(row["id"], row["person_name"], storable(asked), storable(said), pictures)
    except (TypeError, ValueError, KeyError) as error:
        raise _unreadable(row["id"], error) from error


def _unreadable(turn_id: str, error: Exception) -> StorageError:
    return StorageError(f"Turn {turn_id} in the database cannot be read: {error}.")


def _command_from_json(data: JsonObject) -> Ask | Imagine:
    values = {name: value for name, value in data.items() if name != "kind"}
    match data["kind"]:
        case "ask":
            return Ask(**values)
        case "imagine":
            return Imagine(**values)
        case kind:
            raise ValueError(f"unknown command {kind!r}")


def _answer_from_json(data: JsonObject | None) -> Answer | None:
    if data is None:
        return None
    return Answer(
        TurnState(data["outcome"]), data["text"], tuple(data["pictures"]), data.get("note", "")
    )
