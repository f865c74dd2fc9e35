"""Where replies go on Telegram, as typed values that outlive the process and the version."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from bot.models import Address
from bot.platforms.telegram.client import TelegramTarget
from bot.platforms.telegram.inline import InlineTarget
from bot.platforms.telegram.surface import TelegramReceipt
from bot.reply.surface import Receipt

IN_TOPIC = TelegramTarget(-1001, thread_id=7, reply_to=42, draft_id=42)
INLINE = InlineTarget("AbC", 5, "en-GB", "a red fox")


def stored(address: Address) -> Address:
    """The address after it was written into the database and read again."""
    return replace(address, data=json.loads(json.dumps(address.data)))


@pytest.mark.parametrize("target", [IN_TOPIC, TelegramTarget(5, private=True)])
def test_target_in_a_chat_round_trips(target: TelegramTarget) -> None:
    """Through the JSON of a turn's row; rate limits count by its chat."""
    address = stored(target.to_address())
    assert TelegramTarget(**address.data) == target
    assert "inline" not in address.data
    assert (address.platform, address.chat) == ("telegram", str(target.chat_id))


def test_target_of_inline_mode_round_trips() -> None:
    """Each such message is a chat of its own for rate limits."""
    address = stored(INLINE.to_address())
    assert InlineTarget(**address.data) == INLINE
    assert address.chat == "inline AbC"


def test_addresses_that_earlier_versions_stored_are_read() -> None:
    """Replies that are owed since before an update still find their chat."""
    chat = {"chat_id": -1001, "thread_id": 7, "reply_to": 42, "private": False, "draft_id": 42}
    assert IN_TOPIC.to_address() == Address("telegram", "-1001", chat)
    inline = {"inline": "AbC", "person": 5, "language": "en-GB", "prompt": "a red fox"}
    assert INLINE.to_address() == Address("telegram", "inline AbC", inline)


@pytest.mark.parametrize("kind", ["text", "photos", "excuse"])
def test_receipts_are_read_as_they_were_stored(kind: str) -> None:
    """Those of earlier versions look the same."""
    receipt: Receipt = {"ids": [3, 4], "kind": kind}
    assert asdict(TelegramReceipt(**receipt)) == receipt
