"""Which input of a function takes which value: found by name and type in `/config`; pure.

Spaces share the names of the two functions and not always their inputs: JanusFlow's fourth takes a
number of steps where Janus-Pro's takes a temperature, and others keep a state among them. So each
input is looked at: a value goes where label and type fit, an input for something else is left at
its own default, and a function that cannot take what it needs is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.errors import SpaceBroken
from bot.provider.errors import plain_text

PICTURE, QUESTION, PROMPT = "image", "question", "prompt"
SEED, TOP_P, TEMPERATURE, GUIDANCE = "seed", "top_p", "temperature", "guidance"
"""The values that there are, under the names of the original function's parameters."""

_STATES = frozenset({"state", "browserstate"})
_TEXTS = frozenset({"textbox", "textarea", "text", "code"})
_NUMBERS = frozenset({"number", "slider"})
_PICTURES = frozenset({"image"})
_TYPES: Final = {
    PICTURE: _PICTURES,
    QUESTION: _TEXTS,
    PROMPT: _TEXTS,
    SEED: _NUMBERS,
    TOP_P: _NUMBERS,
    TEMPERATURE: _NUMBERS,
    GUIDANCE: _NUMBERS,
}
_LABELS: Final = {
    PICTURE: re.compile(r"image|picture|photo", re.IGNORECASE),
    QUESTION: re.compile(r"question|prompt|query|message|instruction|input|ask", re.IGNORECASE),
    PROMPT: re.compile(r"prompt|description|query|message|input", re.IGNORECASE),
    SEED: re.compile(r"seed", re.IGNORECASE),
    TOP_P: re.compile(r"top[ _-]?p|nucleus", re.IGNORECASE),
    TEMPERATURE: re.compile(r"temp", re.IGNORECASE),
    GUIDANCE: re.compile(r"cfg|guidance", re.IGNORECASE),
}
_SOMETHING_ELSE: Final = re.compile(
    r"negative|system|step|iteration|width|height|size|count|how many|number of|num[ _-]|batch"
    r"|top[ _-]?k|max|length|penalty|strength|random",
    re.IGNORECASE,
)
"""In labels of inputs for what nobody asks for here, whatever their place."""
_OTHER_TEXT: Final = re.compile(r"negative|system", re.IGNORECASE)
_REQUIRED: Final = frozenset({PICTURE, QUESTION, PROMPT})
_WIDEST: Final = {TOP_P: 1.0, TEMPERATURE: 5.0}
"""Above this, a slider's end tells that it takes something else."""


@dataclass(frozen=True, slots=True)
class Input:
    """An input of a function, as `/config` describes its component.

    Attributes:
        type: of the component, e.g. `"slider"`; `""` if it is not described.
        label: for people; `""` if there is none.
        default: the value that it has before anybody changes it.
        least: of a number; `None` for no limit.
        most: likewise.
    """

    type: str = ""
    label: str = ""
    default: Any = None
    least: float | None = None
    most: float | None = None

    @property
    def described(self) -> str:
        """For people, e.g. `"Number of Inference Steps" (slider)`."""
        kind = self.type or "not described"
        return f'"{self.label}" ({kind})' if self.label else kind


@dataclass(frozen=True, slots=True)
class Shape:
    """Which value each input of a function gets.

    Attributes:
        inputs: in the function's order.
        values: for each, the name of a value, or `""` for its own default.
        problem: why the function cannot be used; `""` if it can.
    """

    inputs: tuple[Input, ...]
    values: tuple[str, ...]
    problem: str = ""

    @property
    def left_out(self) -> list[str]:
        """Inputs that are left at their default, for people; states are nobody's business."""
        return [
            each.described
            for each, value in zip(self.inputs, self.values, strict=True)
            if not value and each.type not in _STATES
        ]

    def __str__(self) -> str:
        """E.g. `prompt, seed, guidance, "Number of Inference Steps" (slider) = 30`."""
        return ", ".join(
            value or (each.type if each.type in _STATES else f"{each.described} = {each.default!r}")
            for each, value in zip(self.inputs, self.values, strict=True)
        )

    def arranged(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the function's order, numbers within what their inputs take.

        Raises:
            SpaceBroken: the function cannot be used.
        """
        if self.problem:
            raise SpaceBroken(self.problem)
        return [
            _fitting(each, given[value]) if value else _unasked(each)
            for each, value in zip(self.inputs, self.values, strict=True)
        ]


def map_inputs(function: str, inputs: Sequence[Input], wanted: Sequence[str]) -> Shape:
    """Find out which input takes which value.

    First by label and type; what is left over goes, in the order of the original function, to
    inputs of its type that have no telling label. Inputs that are not described at all are those of
    the original if there are as many.

    Args:
        function: its name, for people.
        inputs: of the function.
        wanted: the original function's values, in its order.
    """
    values = [""] * len(inputs)
    if inputs and not any(each.type for each in inputs):
        if len(inputs) == len(wanted):
            return Shape(tuple(inputs), tuple(wanted))
        problem = (
            f"The function {function} of this Space takes {len(inputs)} values and does not say "
            f"which; Janus-Pro's takes {len(wanted)} ({', '.join(wanted)})."
        )
        return Shape(tuple(inputs), tuple(values), problem)
    left = list(wanted)
    for telling in (True, False):
        for value in tuple(left):
            place = _place(value, inputs, values, wanted.index(value), telling=telling)
            if place is not None:
                values[place] = value
                left.remove(value)
    return Shape(tuple(inputs), tuple(values), _problem(function, inputs, values, left))


def _place(
    value: str, inputs: Sequence[Input], taken: Sequence[str], usual: int, *, telling: bool
) -> int | None:
    """Where a value goes; the usual place goes before all others."""
    fits = [
        place
        for place, each in enumerate(inputs)
        if not taken[place] and _fits(value, each, telling=telling)
    ]
    return usual if usual in fits else next(iter(fits), None)


def _fits(value: str, each: Input, *, telling: bool) -> bool:
    if each.type not in _TYPES[value] or _too_wide(value, each):
        return False
    if _LABELS[value].search(each.label):
        return not (value in {QUESTION, PROMPT} and _OTHER_TEXT.search(each.label))
    if telling:
        return False
    other = any(
        name != value and pattern.search(each.label)
        for name, pattern in _LABELS.items()
        if each.type in _TYPES[name] and {name, value} != {QUESTION, PROMPT}
    )
    return not other and not _SOMETHING_ELSE.search(each.label)


def _too_wide(value: str, each: Input) -> bool:
    widest = _WIDEST.get(value)
    return widest is not None and each.most is not None and each.most > widest


def _problem(
    function: str,
    inputs: Sequence[Input],
    values: Sequence[str],
    left: Sequence[str],
) -> str:
    missing = [value for value in left if value in _REQUIRED]
    strange = [
        each.described
        for each, value in zip(inputs, values, strict=True)
        if not value and _unasked(each) is None and each.type not in _STATES
    ]
    begins = f"The function {function} of this Space is not Janus-Pro's"
    if missing:
        takes = ", ".join(each.described for each in inputs) or "nothing"
        return f"{begins}: it has no input for the {' and the '.join(missing)}. It takes {takes}."
    if strange:
        return f"{begins}: it also asks for {', '.join(strange)}, which has no default."
    return ""


def _fitting(each: Input, value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if each.most is not None and value > each.most:
            return _like(value, each.most)
        if each.least is not None and value < each.least:
            return _like(value, each.least)
    return value


def _like(value: float, limit: float) -> float:
    return int(limit) if isinstance(value, int) else float(limit)


def _unasked(each: Input) -> Any:
    """What an input gets for which nobody gave a value; a seed that was given is no random one."""
    if each.type in _STATES:
        return None
    if each.type == "checkbox":
        return False if "random" in each.label.lower() else bool(each.default)
    if each.default is None and each.type in _TEXTS:
        return ""
    if each.default is None and each.type in _NUMBERS:
        return each.least
    return each.default


def read_input(component: Any) -> Input:
    """An input as its component in `/config` describes it; an empty one for anything else."""
    if not isinstance(component, dict):
        return Input()
    props = component.get("props")
    props = props if isinstance(props, dict) else {}
    label = props.get("label")
    return Input(
        type=str(component.get("type") or "").lower(),
        label=plain_text(label)[:100] if isinstance(label, str) else "",
        default=props.get("value"),
        least=_number(props.get("minimum")),
        most=_number(props.get("maximum")),
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
