"""Tokens for the model: the original demo's templates around what a person wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from bot.space.janus.shape import ModelUnusable

_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual "
    "content that the user provides, and assist the user with a variety of tasks using natural "
    "language.\n\n"
)
_SHORTENED = " […] "
"""Stands for the middle of a text that is too long, as in what the bot sends."""
_BEGIN, _END, _PAD = (
    f"<\uff5c{name}\uff5c>"
    for name in ("begin\u2581of\u2581sentence", "end\u2581of\u2581sentence", "\u2581pad\u2581")
)


class Prompts:
    """Makes prompts of texts, and text of tokens.

    Args:
        folder: of the model, with `tokenizer.json`.

    Raises:
        ModelUnusable: there is no tokenizer, or it does not know pictures.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "tokenizer.json").is_file():
            raise ModelUnusable(f"There is no tokenizer.json in {folder}. Download it again.")
        try:
            self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            raise ModelUnusable(f"tokenizer.json in {folder} cannot be read.") from error
        self._begin = self._id(self._tokenizer.bos_token, _BEGIN)
        self.end = self._id(self._tokenizer.eos_token, _END)
        self._pad = self._id(_PAD, self._tokenizer.pad_token)
        self._picture_begins = self._id("<begin_of_image>", "")
        self._picture_ends = self._id("<end_of_image>", "")
        special = {str(token) for token in self._tokenizer.added_tokens_decoder.values()}
        self._special = re.compile("|".join(map(re.escape, sorted(special, key=len, reverse=True))))

    def drawing(self, prompt: str, most: int) -> tuple[list[int], list[int]]:
        """Tokens for a drawing, and for the same without a prompt; of one length.

        Args:
            prompt: as typed.
            most: tokens in all.
        """
        tokens = self._fitted("<|User|>: ", prompt, "\n\n<|Assistant|>:", most - 2)
        with_prompt = [self._begin, *tokens, self._picture_begins]
        return with_prompt, [self._begin, *[self._pad] * len(tokens), self._picture_begins]

    def question(self, question: str, most: int, *, picture: bool) -> tuple[list[int], list[int]]:
        """Tokens before and behind a picture; all of them before it if there is none.

        Args:
            question: as typed.
            most: tokens in all, without the picture's.
            picture: whether there is one.
        """
        if not picture:
            whole = self._fitted(f"{_SYSTEM}<|User|>: ", question, "\n\n<|Assistant|>:", most - 1)
            return [self._begin, *whole], []
        before = [self._begin, *self._encode(f"{_SYSTEM}<|User|>: "), self._picture_begins]
        room = most - len(before) - 1
        return before, [
            self._picture_ends,
            *self._fitted("\n", question, "\n\n<|Assistant|>:", room),
        ]

    def text(self, tokens: Sequence[int]) -> str:
        """What tokens say, without those that say nothing to people."""
        decoded: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return decoded

    def _fitted(self, before: str, text: str, behind: str, most: int) -> list[int]:
        """A template around a text, of whose middle is left out what would be too much."""
        # A text cannot speak as somebody else, nor mention a picture that is not there.
        while self._special.search(text):
            text = self._special.sub("", text)
        text = text.strip()
        tokens = self._encode(before + text + behind)
        template, kept = len(self._encode(before + behind)), len(text)
        while len(tokens) > most and kept:
            share = max(0, most - template) / max(1, len(tokens) - template)
            kept = min(kept - 1, int(kept * share))
            half = kept // 2
            short = text[:half].rstrip() + _SHORTENED + text[len(text) - half :].lstrip()
            tokens = self._encode(before + (short if half else "") + behind)
        return tokens

    def _encode(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return tokens

    def _id(self, *names: str | None) -> int:
        """The first of the tokens that there is."""
        known: dict[str, int] = self._tokenizer.get_vocab()
        for name in names:
            if name and str(name) in known:
                return known[str(name)]
        raise ModelUnusable(
            f"The tokenizer knows no {names[0]}: it is not that of a Janus-Pro model."
        )
