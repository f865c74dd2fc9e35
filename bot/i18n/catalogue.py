"""Reads the Fluent files and finds the nearest language to one that a person prefers."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from fluent.runtime import FluentBundle, FluentResource

DEFAULT: Final = "en"
"""Complete, so whatever another language lacks is said in it."""

_HERE: Final = Path(__file__).parent


class Words:
    """The sentences of one language.

    Args:
        language: its tag, the name of its folder.
        bundles: where to look for a sentence, one after the other.
    """

    def __init__(self, language: str, bundles: tuple[FluentBundle, ...]) -> None:
        self.language = language
        self._bundles = bundles

    def __call__(self, key: str, /, **values: str | float) -> str:
        """A sentence.

        Args:
            key: its name in the Fluent files.
            values: what it says them about; numbers choose plural forms.

        Raises:
            KeyError: no language has it: a mistake in the program.
        """
        for bundle in self._bundles:
            if bundle.has_message(key):
                pattern = bundle.get_message(key).value
                if pattern is not None:
                    text, _ = bundle.format_pattern(pattern, values)
                    return str(text)
        raise KeyError(key)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return any(bundle.has_message(key) for bundle in self._bundles)


class Catalogue:
    """All languages. Each is read when it is first spoken.

    Args:
        folder: with a folder per language.
    """

    def __init__(self, folder: Path = _HERE) -> None:
        self._folder = folder
        self.languages = tuple(sorted(path.name for path in folder.iterdir() if _is_one(path)))
        self._words: dict[str, Words] = {}

    def words(self, *wanted: str) -> Words:
        """The sentences of the first language that the bot speaks.

        Args:
            wanted: BCP 47 tags, the most preferred first; empty ones and unknown ones are passed
                over. A region that has no file of its own gets its language (`ru-RU`: `ru`).
        """
        for tag in wanted:
            parts = tag.replace("_", "-").split("-")
            for length in range(len(parts), 0, -1):
                near = "-".join(parts[:length]).lower()
                found = next((each for each in self.languages if each.lower() == near), None)
                if found is not None:
                    return self._of(found)
        return self._of(DEFAULT)

    def _of(self, language: str) -> Words:
        if language not in self._words:
            tags = dict.fromkeys((language, DEFAULT))
            bundles = tuple(_bundle(self._folder / tag) for tag in tags)
            self._words[language] = Words(language, bundles)
        return self._words[language]


@cache
def _bundle(folder: Path) -> FluentBundle:
    """A language, read once in a process: parsing takes more than a tenth of a second."""
    # Marks around each value would be seen in chats, and count towards their limits.
    bundle = FluentBundle([folder.name], use_isolating=False)
    for file in sorted(folder.glob("*.ftl")):
        bundle.add_resource(FluentResource(file.read_text("utf-8")))
    return bundle


def _is_one(path: Path) -> bool:
    return path.is_dir() and any(path.glob("*.ftl"))
