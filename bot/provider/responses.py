"""What a provider is, and what it yields.

Text comes as `Text`, a `str` with only what is new. Nothing else that is yielded is a `str`, and
everything has `.content`.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self

from bot.errors import BadInput
from bot.files import File


class Text(str):
    """A piece of the answer: exactly what was added since the last piece."""

    __slots__ = ()

    @property
    def content(self) -> str:
        """The piece itself."""
        return str(self)


class Stage(enum.StrEnum):
    """Where a request stands, in the order in which it can happen."""

    CONNECTING = "connecting"
    """Finding the Space, uploading the picture, joining the queue."""
    STARTING = "starting"
    """The Space that the bot runs itself is being started."""
    WAKING = "waking"
    """The Space sleeps or is being built; it is being waited for."""
    QUEUED = "queued"
    """In the Space's queue; `rank`, `queue_size` and `eta` may be known."""
    RUNNING = "running"
    """The function runs; `index`/`length` or `fraction` may be known."""
    FETCHING = "fetching"
    """The answer is there, its pictures are being downloaded."""


_DOING = {
    Stage.CONNECTING: "asking the Space",
    Stage.STARTING: "starting the model",
    Stage.WAKING: "waiting for the Space to be up",
    Stage.QUEUED: "waiting",
    Stage.FETCHING: "fetching the pictures",
}
_ANSWERING = "answering"
_OF_PICTURES = re.compile(r"image|picture|draw", re.IGNORECASE)
_TEENS = range(11, 14)


def _ordinal(number: int) -> str:
    """E.g. `3rd`."""
    ending = "th" if number % 100 in _TEENS else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How far the request is. The newest one replaces the one before.

    Attributes:
        stage: where it stands.
        rank: requests ahead in the Space's queue; 0 is next.
        queue_size: requests waiting in the Space's queue.
        eta: seconds until it starts (queued) or ends (running), as the Space estimates.
        index: steps done, 0 to `length`.
        length: steps in all.
        fraction: share done, 0.0 to 1.0, where the Space counts no steps.
        unit: what a step is, e.g. `"tokens"`.
        note: words of the Space: what it does now, or a log line. Untrusted text, HTML removed.
        level: `"info"`, `"warning"`, `"success"` or `"error"` when `note` is a log line.
        left_out: earlier messages that did not fit into the question; told once, at first.
        draws: whether pictures are made, or a question is answered; `None` if it was not said.
    """

    stage: Stage
    rank: int | None = None
    queue_size: int | None = None
    eta: float | None = None
    index: float | None = None
    length: float | None = None
    fraction: float | None = None
    unit: str = ""
    note: str = ""
    level: str = ""
    left_out: int = 0
    draws: bool | None = field(default=None, compare=False)

    @property
    def done(self) -> float | None:
        """Share done, 0.0 to 1.0, from the steps or from `fraction`; `None` if unknown."""
        if self.index is not None and self.length:
            return min(1.0, max(0.0, self.index / self.length))
        return self.fraction

    @property
    def content(self) -> str:
        """One plain line for a log, a pipe or a terminal, e.g. `waiting: 3rd of 7`."""
        if self.level and self.note:
            return self.note  # a sentence of its own
        said = self._said()
        if self.left_out:
            said += f"; without {self.left_out} of the earlier messages, which do not fit"
        return said

    def _said(self) -> str:
        doing = _DOING.get(self.stage) or self._work()
        if self.stage is Stage.QUEUED and self.rank is not None:
            known = self.queue_size is not None and self.queue_size > self.rank
            of = f" of {self.queue_size}" if known else ""
            return f"{doing}: {_ordinal(self.rank + 1)}{of}"
        if self.index is not None and self.length:
            return f"{doing} {self.index:g} of {self.length:g}"
        if self.fraction is not None:
            return f"{doing}, {self.fraction:.0%} done"
        if doing == _ANSWERING and not self.note:
            return "the model is running"  # no word of the answer is there yet
        return f"{doing}: {self.note}" if self.note else doing

    def _work(self) -> str:
        """What a function does that runs; one that nobody knows may say so itself."""
        if self.draws or (self.draws is None and _OF_PICTURES.search(self.note)):
            return "drawing"
        return "working" if self.draws is None else _ANSWERING

    def __str__(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True)
class Preview:
    """The pictures of a drawing as far as they are made; the newest replaces the one before.

    Only some Spaces show them. None comes after the `ImageResponse`, and any may be left out.

    Attributes:
        images: in the Space's order, without a recipe; never empty, and perhaps fewer than there
            will be.
    """

    images: list[File]

    @property
    def content(self) -> str:
        """One line that says what there is so far."""
        return f"{len(self.images)} images, not finished"

    def __str__(self) -> str:
        return self.content


@dataclass(frozen=True, slots=True)
class ImageResponse:
    """All images of one call.

    Attributes:
        images: in the Space's order, each with its recipe; never empty.
        missing: how many more were made and could not be fetched.
    """

    images: list[File]
    missing: int = 0

    @property
    def content(self) -> str:
        """One line that says what was made."""
        recipe = self.images[0].recipe
        what = "" if recipe is None else f" of {recipe.prompt!r} (seed {recipe.seed})"
        return f"{len(self.images)} images{what}"

    def __str__(self) -> str:
        return self.content


DRAWING_SECONDS = 20.0
"""Of GPU time that a drawing takes, about, on the public Space."""


@dataclass(frozen=True, slots=True)
class GpuTime:
    """What is known of the GPU time that a Space lends, in seconds; `None` for what is not known.

    Attributes:
        space: its name.
        limited: whether it lends time at all; a server of one's own does not count it.
        anonymous: it is asked without a token, so the time is that of the network address.
        asks: what a call asks for; it is let in only while that much is left.
        base: what the account has a day.
        left: what it has left now.
        resets_at: Unix time at which all of it is back.
        why: `left` is not known.
    """

    space: str
    limited: bool = True
    anonymous: bool = False
    asks: float | None = None
    base: float | None = None
    left: float | None = None
    resets_at: float | None = None
    why: str = ""

    @property
    def suffices(self) -> bool:
        """Whether a call would be let in now, as far as that is known."""
        return self.left is None or self.asks is None or self.left >= self.asks

    @property
    def calls(self) -> int | None:
        """About how many drawings are let in with what is left."""
        if not self.limited or self.left is None:
            return None
        asks = self.asks or DRAWING_SECONDS
        if self.left < asks:
            return 0
        return max(1, int((self.left - asks) // DRAWING_SECONDS))


@dataclass(frozen=True, slots=True)
class JsonConversation:
    """What the provider needs to go on in a channel, beside the history.

    Never holds the Hugging Face token of the operator, and its own tokens are in neither `repr`
    nor exports.

    Attributes:
        session_hash: names the newest request to the Space's queue; `""` before the first.
        zerogpu_uuid: id of this client on ZeroGPU Spaces; `""` if unknown.
        zerogpu_token: short-lived JWT for ZeroGPU Spaces; `""` if there is none.
        token_expires: Unix time at which `zerogpu_token` ends; 0.0 if there is none, or if that is
            not known.
        space: id of the Space that `zerogpu_token` is for, and no other one may see it; `""` for
            the one that is asked with this conversation.
    """

    VERSION: ClassVar[int] = 1

    session_hash: str = ""
    zerogpu_uuid: str = ""
    zerogpu_token: str = field(default="", repr=False)
    token_expires: float = 0.0
    space: str = ""

    @property
    def content(self) -> str:
        """Empty: a conversation has nothing to show."""
        return ""

    def token_at(self, now: float | None = None) -> str:
        """The ZeroGPU token unless it is known to be over at `now` (Unix seconds), else `""`."""
        moment = time.time() if now is None else now
        over = self.token_expires and moment >= self.token_expires
        return "" if over else self.zerogpu_token

    def without_secrets(self) -> Self:
        """The same conversation without its token, for exports."""
        return replace(self, zerogpu_token="", token_expires=0.0)

    def to_json(self) -> dict[str, Any]:
        """The conversation as a JSON object with a version; tokens included, so not for export."""
        return {"version": self.VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Read what `to_json` wrote, of this or an older version.

        Raises:
            ValueError: written by a newer version, or by something else.
        """
        version = data.get("version", 1)
        if not isinstance(version, int):
            raise ValueError(f"a conversation without a version: {version!r}")  # noqa: TRY004 - data
        if version > cls.VERSION:
            raise ValueError(f"conversation of version {version}, newer than {cls.VERSION}")
        names = ("session_hash", "zerogpu_uuid", "zerogpu_token", "token_expires", "space")
        return cls(**{name: data[name] for name in names if name in data})


Response = Text | Reasoning | Preview | ImageResponse | JsonConversation
"""Everything that a provider may yield."""


class AsyncGeneratorProvider(Protocol):
    """What can be asked: a Space (`DeepseekAI_JanusPro7b`), or several behind `Spaces`."""

    def create_async_generator(
        self, model: str, messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Yield responses until the answer is complete; close it early to give up."""
        ...


class ProviderModelMixin:
    """The models of a provider.

    Attributes:
        default_model: for questions.
        models: all of them.
    """

    default_model: str = ""
    models: ClassVar[list[str]] = []

    @classmethod
    def defaults(cls) -> list[str]:
        """The models that are taken where none is named; a subclass may name others."""
        names = ("default_model", "default_image_model", "default_vision_model")
        return [name for each in names if (name := getattr(cls, each, ""))]

    @classmethod
    def get_model(cls, model: str) -> str:
        """`model` if there is such a one, and the default for `""`.

        Raises:
            BadInput: there is no such model.
        """
        if not model:
            return cls.default_model
        if model not in {*cls.models, *cls.defaults()}:
            raise BadInput(f"There is no model {model!r} here; there are {', '.join(cls.models)}.")
        return model
