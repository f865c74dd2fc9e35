"""Turns as the page reads them."""

from __future__ import annotations

from typing import assert_never

from bot.messages import JsonObject
from bot.platforms.web.live import Picture
from bot.platforms.web.markup import Markup
from bot.reply.surface import Mood
from bot.turn import Answer, Ask, Imagine, Turn, TurnState


def to_json(turn: Turn, markup: Markup) -> JsonObject:
    """One turn: what was asked, and what it came to if it has come to something."""
    return {
        "message": turn.message_id,
        "turn": turn.id,
        "at": turn.accepted_at,
        "question": question(turn.command),
        "pictures": [Picture(key, "", "Your picture").to_json() for key in turn.pictures],
        "attachments": [attachment.name for attachment in turn.attachments],
        "answer": _answer(turn, turn.answer, markup) if turn.answer is not None else None,
    }


def question(command: Ask | Imagine) -> str:
    """A command as it would be typed."""
    match command:
        case Ask():
            return command.question
        case Imagine():
            seed = f" --seed {command.seed}" if command.seed is not None else ""
            guidance = f" --guidance {command.guidance:g}" if command.guidance is not None else ""
            return f"/imagine {command.prompt}{seed}{guidance}"
        case _:
            assert_never(command)


def _answer(turn: Turn, answer: Answer, markup: Markup) -> JsonObject:
    count = len(answer.pictures)
    subject = turn.command.prompt if isinstance(turn.command, Imagine) else ""
    pictures = [
        Picture(key, f"janus-{turn.id}-{number}", f"Picture {number} of {count}: {subject}")
        for number, key in enumerate(answer.pictures, 1)
    ]
    return {
        "html": markup.html(answer.text),
        "pictures": [picture.to_json() for picture in pictures],
        "mood": _mood(answer.outcome),
    }


def _mood(outcome: TurnState) -> str:
    match outcome:
        case TurnState.FAILED:
            return Mood.FAILED.value
        case TurnState.CANCELLED:
            return Mood.STOPPED.value
        case _:
            return Mood.DONE.value
