"""Reads the Fluent files and finds the nearest language to one that a person prefers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fluent.syntax import FluentParser
from fluent.syntax.ast import Message, Pattern, TextElement

if TYPE_CHECKING:
    from fluent.runtime import FluentBundle

DEFAULT: Final = "en"
"""Complete, so it provides whatever another language lacks."""

_HERE: Final = Path(__file__).parent


class Words:
    """The sentences of one language.

    Sentences without values are kept as they are; menus need no others. Fluent's runtime, with the
    plural rules of a language, is loaded with the first sentence that needs it.

    Args:
        folders: of this language and of the one to fall back on, each called by its tag.
    """

    def __init__(self, *folders: Path) -> None:
        self.language = folders[0].name
        self._folders = folders

    def __call__(self, key: str, /, **values: str | float) -> str:
        """A sentence.

        Args:
            key: its name in the Fluent files.
            values: what it says them about; numbers choose plural forms.

        Raises:
            KeyError: no language has it: a mistake in the program.
        """
        for folder in self._folders:
            plain = _sentences(folder).get(key)
            if plain is not None:
                return plain
            if key in _sentences(folder):
                bundle = _bundle(folder)
                pattern = bundle.get_message(key).value
                if pattern is not None:
                    return str(bundle.format_pattern(pattern, values)[0])
        raise KeyError(key)

    def has(self, key: str) -> bool:
        return any(key in _sentences(folder) for folder in self._folders)


class Catalogue:
    """All languages. Each is read when it is first used.

    Args:
        folder: with a folder per language.
    """

    def __init__(self, folder: Path = _HERE) -> None:
        self.languages = tuple(sorted({file.parent.name for file in folder.glob("*/*.ftl")}))
        self._words = {
            language.lower(): Words(*(folder / tag for tag in dict.fromkeys((language, DEFAULT))))
            for language in self.languages
        }

    def words(self, *wanted: str) -> Words:
        """The sentences of the first language that the bot speaks.

        Args:
            wanted: BCP 47 tags, the most preferred first; empty ones and unknown ones are passed
                over. A region that has no file of its own gets its language (`ru-RU`: `ru`).
        """
        for tag in wanted:
            parts = tag.replace("_", "-").split("-")
            for length in range(len(parts), 0, -1):
                if found := self._words.get("-".join(parts[:length]).lower()):
                    return found
        return self._words[DEFAULT]


@cache
def _sentences(folder: Path) -> dict[str, str | None]:
    """The sentences of a language by key; `None` for those that depend on values."""
    found: dict[str, str | None] = {}
    for file in sorted(folder.glob("*.ftl")):
        for entry in FluentParser(with_spans=False).parse(file.read_text("utf-8")).body:
            if isinstance(entry, Message):
                found[entry.id.name] = _text(entry.value)
    return found


def _text(pattern: Pattern | None) -> str | None:
    if pattern is None or len(pattern.elements) != 1:
        return None
    element = pattern.elements[0]
    return element.value if isinstance(element, TextElement) else None


@cache
def _bundle(folder: Path) -> FluentBundle:
    """A language, read once per process: parsing takes more than a tenth of a second."""
    from fluent.runtime import FluentBundle, FluentResource  # noqa: PLC0415 - five megabytes

    # Marks around each value would be visible in chats, and count towards their limits.
    bundle = FluentBundle([folder.name], use_isolating=False)
    for file in sorted(folder.glob("*.ftl")):
        bundle.add_resource(FluentResource(file.read_text("utf-8")))
    return bundle
