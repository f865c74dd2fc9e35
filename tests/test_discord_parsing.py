"""The address of a reply as a typed value, in this and in older versions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models import Address
from bot.platforms.discord.parsing import MAX_FILE_BYTES, DiscordTarget, InteractionToken
from bot.platforms.discord.surface import message_id_in, receipt_of

IDS = st.integers(1, 2**63).map(str)
TOKENS = st.builds(InteractionToken, IDS, st.text(min_size=1), st.floats(0, 2**40), st.none() | IDS)
TARGETS = st.builds(
    DiscordTarget,
    IDS,
    reply_to=st.none() | IDS,
    interaction=st.none() | TOKENS,
    member=st.booleans(),
    language=st.sampled_from(["", "ru", "pt-BR"]),
    max_file_bytes=st.integers(1, 2**40),
    drawing=st.booleans(),
)
TOKEN = {"application_id": "1", "token": "secret", "expires": 900.5, "message_id": None}


@given(TARGETS)
def test_a_target_survives_the_database(target: DiscordTarget) -> None:
    """As JSON, perhaps read by another process."""
    stored = json.dumps(asdict(target.to_address()))
    assert DiscordTarget.from_address(Address(**json.loads(stored))) == target


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"channel_id": "5", "reply_to": "6"}, DiscordTarget("5", reply_to="6")),
        (
            {
                "channel_id": "5",
                "interaction": TOKEN,
                "member": False,
                "language": "ru",
                "largest": 2**20,
                "drawing": True,
            },
            DiscordTarget(
                "5",
                interaction=InteractionToken("1", "secret", 900.5),
                member=False,
                language="ru",
                max_file_bytes=2**20,
                drawing=True,
            ),
        ),
        (
            {"channel_id": "5", "language": "en-US", "largest": MAX_FILE_BYTES},
            DiscordTarget("5", language="en-US"),
        ),
    ],
)
def test_addresses_of_older_versions(data: dict[str, Any], expected: DiscordTarget) -> None:
    """They leave out what does not apply."""
    assert DiscordTarget.from_address(Address("discord", "5", data)) == expected


def test_a_token_is_shown_to_nobody() -> None:
    target = DiscordTarget("5", interaction=InteractionToken("1", "secret", 900.5))
    assert "secret" not in f"{target!r} {target.to_address()!r}"


@given(IDS)
def test_a_receipt_survives_the_database(message_id: str) -> None:
    receipt = receipt_of(message_id)
    assert receipt == {"ids": [message_id]}  # as it always was
    assert message_id_in(json.loads(json.dumps(receipt))) == message_id
