"""The last step of a turn: its answer is brought to the channel."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bot.errors import MessageGone, SurfaceError, SurfaceForbidden
from bot.language import Words
from bot.turn import Answer, Imagine, Picture, Turn, TurnState
from bot.turns import answers
from bot.turns.ports import Reply, Tools

log = structlog.get_logger(__name__)


async def deliver(
    turn: Turn, answer: Answer, reply: Reply, tools: Tools, words: Words
) -> TurnState:
    """Show the final state of a reply.

    Where the bot may not write any more, the person is told elsewhere if there is a way.

    Returns:
        The state in which the turn ends once this is stored.

    Cancelling: what was acknowledged is stored, and the answer still owed.
    """
    try:
        await reply.finish(answer, await _made(turn, answer, tools, words))
    except MessageGone:
        return TurnState.CANCELLED
    except SurfaceForbidden as error:
        told = await tools.replies.tell(turn.person, answers.undeliverable(turn, error, words))
        log.warning("answer could not be delivered", reason=str(error), person_told=told)
        return TurnState.FAILED
    except SurfaceError as error:
        log.warning("answer could not be delivered", reason=str(error))
        return TurnState.FAILED
    return answer.outcome


async def _made(turn: Turn, answer: Answer, tools: Tools, words: Words) -> Sequence[Picture]:
    pictures = []
    prompt = turn.command.prompt if isinstance(turn.command, Imagine) else ""
    for number, key in enumerate(answer.pictures, start=1):
        try:
            data, media_type = await tools.pictures.get(key)
        except KeyError:
            log.warning("picture is gone", key=key)
            continue
        alt = words("alt-number-of", prompt=prompt, number=number, count=len(answer.pictures))
        recipe = await tools.pictures.recipe(key)
        pictures.append(Picture(key, data, media_type, alt, recipe))
    return pictures
