"""What is yielded for the events of one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.errors import GenerationFailed
from bot.provider.gradio.client import CallEvent
from bot.provider.gradio.events import (
    IN_QUEUE,
    STARTING,
    Completed,
    Estimation,
    Generating,
    Log,
    ProcessStarts,
    Progress,
    ProgressUnit,
)
from bot.provider.gradio.files import plain_value
from bot.provider.responses import Preview, Reasoning, Stage, Text
from bot.redaction import NOTHING_SECRET, Redactor, pending, redacted


def _step(bar: ProgressUnit, draws: bool) -> Reasoning:
    """What a progress bar says; some are of a function that has not begun its work."""
    if bar.unit == IN_QUEUE:
        rank, size = (
            None if number is None or number < 0 else int(number)
            for number in (bar.index, bar.length)
        )
        return Reasoning(Stage.QUEUED, rank=rank, queue_size=size, draws=draws)
    starts = bar.unit == STARTING
    return Reasoning(
        Stage.WAKING if starts else Stage.RUNNING,
        index=bar.index,
        length=bar.length,
        fraction=None if bar.fraction is None else min(1.0, max(0.0, bar.fraction)),
        unit="" if starts else bar.unit,
        note=bar.description,
        draws=draws,
    )


def _text(data: Sequence[Any]) -> str:
    """The first output that is a text, which may be wrapped in an update."""
    return next((text for each in data if isinstance(text := plain_value(each), str)), "")


@dataclass(slots=True)
class Yielded:
    """What has been yielded of one call, so that its events add only what is new.

    Attributes:
        draws: whether pictures are made, and so no text is yielded.
        streams: whether text is yielded before it is complete.
        redact: takes the credentials of the call out of what the Space says.
        data: the newest value of each output.
        text: what was yielded of the answer; once there is any, it cannot be begun again.
        last: the newest step that was yielded.
    """

    draws: bool
    streams: bool = True
    redact: Redactor = NOTHING_SECRET
    data: list[Any] = field(default_factory=list)
    text: str = ""
    last: Reasoning | None = None

    def add(self, event: CallEvent | Preview) -> Text | Reasoning | Preview | None:
        """What is to be yielded for an event, if anything.

        Raises:
            GenerationFailed: there is no text, and there will be none.
        """
        match event:
            case Generating(data=data) | Completed(data=data):
                self.data = data
                final = isinstance(event, Completed)
                if self.draws or not (final or self.streams):
                    return None
                return self._added(final=final)
            case Estimation(rank=rank, queue_size=size, eta=eta):
                step = Reasoning(Stage.QUEUED, rank=rank, queue_size=size, eta=eta)
            case ProcessStarts(eta=eta):
                step = Reasoning(Stage.RUNNING, eta=eta, draws=self.draws)
            case Progress(units=(*_, inner)):
                step = _step(inner, self.draws)
            case Log(text=text, level=level):
                stage = self.last.stage if self.last else Stage.QUEUED
                step = Reasoning(stage, note=text, level=level, draws=self.draws)
            case Preview():
                return event
            case _:
                return None
        if step.note and (note := self.redact(step.note)) != step.note:
            step = replace(step, note=note)
        if step == self.last:
            return None
        self.last = step
        return step

    def _added(self, *, final: bool) -> Text | None:
        """What is new of the text; one that begins anew is given out once it is final."""
        text = self.redact(redacted(_text(self.data)))
        if not final:
            held_back = max(pending(text), self.redact.pending(text))
            text = text[: len(text) - held_back]
        if final and not text:
            raise GenerationFailed("The Space gave an empty answer.")
        if text.startswith(self.text):
            piece = text[len(self.text) :]
        elif final:
            piece = f"\n\n{text}"
        else:
            return None
        self.text = text
        # JSON can hold halves of surrogate pairs, which could be sent nowhere.
        return Text(piece.encode("utf-8", "replace").decode()) if piece else None
