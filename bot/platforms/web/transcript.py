"""What the bot says at once, and the buttons under its messages, as the page reads them."""

from __future__ import annotations

from typing import assert_never

from bot.actions import Action, Button, Rows, Verb, under_drawing
from bot.i18n import Words
from bot.models import Answer, Ask, Imagine, JsonObject, Turn, TurnState
from bot.platforms.web.events import Picture
from bot.platforms.web.files import Downloads
from bot.platforms.web.pages import Markup
from bot.platforms.web.status import unmarked
from bot.reply.surface import Mood
from bot.turns.inbox import Notice


def rows_to_json(rows: Rows) -> list[list[JsonObject]]:
    """Rows of buttons."""
    return [
        [
            {"action": str(button.action), "label": button.label, "danger": button.danger}
            for button in row
        ]
        for row in rows
    ]


async def notice_to_json(notice: Notice, markup: Markup, handouts: Downloads) -> JsonObject:
    """A notice; its files can be fetched from now on.

    Raises:
        OSError: the files cannot be kept.
    """
    return {
        "html": markup.html(notice.text),
        "private": notice.private,
        "buttons": rows_to_json(notice.buttons),
        "files": [await handouts.add(file) for file in notice.files],
        "replaces": notice.replaces,
    }


def turn_to_json(turn: Turn, markup: Markup, words: Words, *, removed: bool = False) -> JsonObject:
    """One turn: what was asked, and what it came to if it has come to something.

    Args:
        turn: in any state.
        markup: renders Markdown.
        words: the language of descriptions and buttons.
        removed: its reply was removed, so what it came to is not shown any more.
    """
    answer = None if removed or turn.answer is None else _answer(turn, turn.answer, markup, words)
    mine = words("web-your-picture")
    return {
        "message": turn.message_id,
        "turn": turn.id,
        "at": turn.accepted_at,
        "question": question(turn.command),
        "pictures": [Picture(key, "", mine).to_json() for key in turn.pictures],
        "attachments": [attachment.name for attachment in turn.attachments],
        "answer": answer,
        "removed": removed,
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


def _answer(turn: Turn, answer: Answer, markup: Markup, words: Words) -> JsonObject:
    count = len(answer.pictures)
    subject = turn.command.prompt if isinstance(turn.command, Imagine) else ""
    pictures = [
        Picture(
            key,
            f"janus-{turn.id}-{number}",
            words("alt-number-of", prompt=subject, number=number, count=count),
        )
        for number, key in enumerate(answer.pictures, 1)
    ]
    mood = _mood(answer.outcome)
    return {
        "html": markup.html(unmarked(answer.text, mood)),
        "pictures": [picture.to_json() for picture in pictures],
        "mood": mood.value,
        "buttons": rows_to_json(_buttons(turn.id, answer, words)),
    }


def _buttons(turn_id: str, answer: Answer, words: Words) -> Rows:
    """As `bot.reply.render.buttons` puts them under the reply."""
    if answer.outcome is TurnState.FAILED:
        return ((Button(Action(Verb.RETRY, turn_id), words("button-retry")),),)
    return under_drawing(turn_id, len(answer.pictures), words) if answer.pictures else ()


def _mood(outcome: TurnState) -> Mood:
    match outcome:
        case TurnState.FAILED:
            return Mood.FAILED
        case TurnState.CANCELLED:
            return Mood.STOPPED
        case _:
            return Mood.DONE
