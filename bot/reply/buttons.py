"""Which buttons stand under a reply. Pure."""

from __future__ import annotations

from bot.actions import Action, Button, Rows, Verb, under_drawing
from bot.language import Words
from bot.reply.state import Phase, ReplyState
from bot.turn import TurnState


def buttons(state: ReplyState, turn_id: str, words: Words) -> Rows:
    """Buttons for what a reply shows at the moment.

    While it is made it can be stopped; a drawing can be varied and handed out; what failed can be
    tried again.
    """
    if state.phase is Phase.FINAL and state.answer is not None:
        if state.answer.outcome is TurnState.FAILED:
            return ((Button(Action(Verb.RETRY, turn_id), words("button-retry")),),)
        if state.uploads:
            return under_drawing(turn_id, len(state.uploads), words)
        return ()
    if state.phase is Phase.REMOVED:
        return ()
    return ((Button(Action(Verb.STOP, turn_id), words("button-stop"), danger=True),),)
