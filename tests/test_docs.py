"""What README, guides and examples say is checked against the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import discord
import pytest
import typer.main
import yaml  # type: ignore[import-untyped] # its types are a package of their own

from bot.cli import cli
from bot.config import Config, load
from bot.metrics import Metrics
from bot.platforms.discord.permissions import WANTED
from bot.turns.commands import WORDS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
README = (ROOT / "README.md").read_text()


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    """Each page in turn."""
    path: Path = request.param
    return path


def test_links_lead_somewhere(page: Path) -> None:
    """Whatever a page links to in the repository is there."""
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_named_files_exist(page: Path) -> None:
    """Whatever a page calls `bot/…`, `tests/…`, `migrations/…` or `docs/…` is there."""
    named = re.findall(r"`((?:bot|tests|migrations|docs)/[\w./-]*)`", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_named_commands_exist(page: Path) -> None:
    """Each `janus-bot WORD` is a command."""
    known = set(typer.main.get_group(cli).commands)
    named = set(re.findall(r"janus-bot ([a-z]+)\b(?=[` \n])", page.read_text()))
    assert named - {"is", "needs"} <= known


def test_examples_of_configuration_load(page: Path, tmp_path: Path) -> None:
    """Each TOML block is a configuration that works."""
    for block in re.findall(r"^ *```toml\n(.*?)```", page.read_text(), re.DOTALL | re.MULTILINE):
        path = tmp_path / "config.toml"
        path.write_text(re.sub(r"^ +", "", block, flags=re.MULTILINE))
        assert load(path, {}) != Config()


@pytest.mark.parametrize(
    "path",
    [*PAGES, *(ROOT / name for name in ("Dockerfile", "compose.yaml", "config.example.toml"))],
    ids=lambda path: path.name,
)
def test_named_variables_exist(path: Path) -> None:
    """Each variable with a section and a key is one that the configuration knows."""
    keys = Config().model_dump()
    for section, key in re.findall(r"JANUS_BOT_([A-Z]+)__([A-Z_]+)", path.read_text()):
        assert key.lower() in keys[section.lower()], f"JANUS_BOT_{section}__{key}"


def test_table_of_commands_is_complete() -> None:
    """README lists the words that people can use, in the order of the menus."""
    assert re.findall(r"^\| `/(\w+)` \|", README, re.MULTILINE) == list(WORDS)


def test_invitation_asks_for_what_is_needed() -> None:
    """The invite link carries the permissions that the bot checks for, and README names them."""
    [number] = re.findall(r"permissions=(\d+)", README)
    [named] = re.findall(r"exactly these permissions: (.*?)\.", README, re.DOTALL)
    names = [re.sub(r"\s+", "_", name.lower()) for name in re.split(r",\s+", named)]
    flags = {"view_channel" if name == "view_channels" else name: True for name in names}
    assert int(number) == WANTED.value == discord.Permissions(**flags).value


def test_named_figures_are_measured() -> None:
    """Each figure in the guide for operators is one that /metrics shows."""
    shown = Metrics().exposition().decode()
    named = re.findall(r"`(janus_bot_\w+)`", (ROOT / "docs" / "operations.md").read_text())
    assert len(named) == 6
    assert [name for name in named if f"# HELP {name} " not in shown] == []


def test_compose_file_gives_the_bot_time_and_a_place() -> None:
    """The data is in a named volume, and the bot may take its 10 s to stop."""
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    bot, space = compose["services"]["bot"], compose["services"]["space"]
    assert bot["volumes"] == ["data:/data"]
    assert set(compose["volumes"]) == {"data"}
    assert int(bot["stop_grace_period"].removesuffix("s")) > 10
    assert "ports" not in bot, "the port is not published unless somebody decides so"
    assert space["profiles"] == ["space"]
