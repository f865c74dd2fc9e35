"""What `docs/provider.md` says about the provider is true, and its examples run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import errors
from bot.errors import ProviderError
from bot.provider import DeepseekAI_JanusPro7b
from bot.provider.prompt import GENERATE
from tests.servers.faulty_space import (
    CLOSE,
    PICTURES,
    PNG,
    STARTS,
    completed,
    faulty_space,
    gallery,
    says,
)

PAGE = (Path(__file__).parent.parent / "docs" / "provider.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=["chat", "pictures", "spaces"])
async def test_examples_run(
    example: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As they stand; only the addresses are those of a server here."""
    monkeypatch.chdir(tmp_path)
    async with faulty_space(files=PICTURES) as space:
        monkeypatch.setattr(DeepseekAI_JanusPro7b, "api_url", space.url)

        def answer() -> AsyncIterator[bytes]:
            draws = space.joined[-1].body["fn_index"] == GENERATE.fn_index
            output = gallery(*PICTURES) if draws else "An answer."
            return says(STARTS, completed(output), CLOSE)()

        space.script = answer
        program = compile(example.replace("http://127.0.0.1:7860", space.url), "example", "exec")
        await asyncio.to_thread(exec, program, {})
    assert "An answer." in capfd.readouterr().out
    if "prompt=" in example:
        made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert made == {f"fox-{number}.png": PNG + bytes([number]) for number in range(5)}


def test_every_error_is_in_the_table() -> None:
    """Each kind of `ProviderError` has a line that says what to do."""
    rows = re.findall(r"^\| (`.*?`) \| .+ \|$", PAGE, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    kinds = {kind.__name__ for kind in ProviderError.__subclasses__()}
    assert kinds <= named
    assert {name for name in named if hasattr(errors, name)} == kinds
