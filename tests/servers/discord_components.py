"""Components of messages and forms: what the local Discord refuses, as Discord does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.servers.discord_world import Json, Refusal, snowflake

V2 = 1 << 15
"""The flag of a message that consists of components only; it never goes away again."""
ROW, BUTTON, SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = (
    *(1, 2, 9, 10, 11),
    *(12, 13, 14, 17),
)
_IN_CONTAINER = frozenset({ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR})
_ON_TOP = _IN_CONTAINER | {CONTAINER}
_LEGACY = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
MAX_COMPONENTS, MAX_TEXT_CHARS, MAX_ALT_CHARS, MAX_PICTURES = 40, 4000, 1024, 10


def invalid(where: str, message: str, code: str = "BASE_TYPE_BAD_VALUE") -> Refusal:
    """Discord's answer to a form body that it does not take."""
    errors = {where: {"_errors": [{"code": code, "message": message}]}}
    return Refusal(400, 50035, "Invalid Form Body", errors)


def walk(components: list[Json]) -> Iterator[Json]:
    """All components, those inside others too."""
    for each in components:
        yield each
        yield from walk(each.get("components", []))
        if "accessory" in each:
            yield each["accessory"]


def text_of(message: Json) -> str:
    """What people read in a message, whether it is a text or consists of components."""
    shown = [each["content"] for each in walk(message.get("components") or []) if "content" in each]
    return "\n".join([message.get("content") or "", *shown]).strip("\n")


def check_message(payload: Json, new: set[str], kept: set[str], *, was_v2: bool = False) -> bool:
    """Refuse what Discord refuses in the body of a message.

    Args:
        payload: the body; of an edit, with what the message keeps of its text.
        new: names of the files that come along.
        kept: of those that an edited message keeps.
        was_v2: an edited message consists of components already.

    Returns:
        Whether it will consist of components only.
    """
    is_v2 = check_components(payload, new | kept, was_v2=was_v2)
    content = payload.get("content") or ""
    if len(content) > 2000:
        text = "Must be 2000 or fewer in length."
        raise invalid("content", text, "BASE_TYPE_MAX_LENGTH")
    if len(str(payload.get("nonce", ""))) > 25:
        raise invalid("nonce", "Nonce must be 25 or fewer in length.", "NONCE_TYPE_TOO_LONG")
    if len(new | kept) > 10:
        text = "Must be 10 or fewer in length."
        raise invalid("attachments", text, "BASE_TYPE_MAX_LENGTH")
    if not (content or new or kept or is_v2 or payload.get("embeds")):
        raise Refusal(400, 50006, "Cannot send an empty message")
    return is_v2


def may_ping(payload: Any) -> bool:
    """Whether a request's body carries text and does not say that nobody is to be pinged."""
    if not isinstance(payload, dict):
        return False
    body = payload["data"] if isinstance(payload.get("data"), dict) else payload
    if "choices" in body or "custom_id" in body:  # suggestions and forms are no messages
        return False
    says = body.get("embeds") or text_of(body)
    return bool(says) and body.get("allowed_mentions") != {"parse": []}


def check_components(payload: Json, names: set[str], *, was_v2: bool = False) -> bool:
    """Refuse what Discord refuses.

    Args:
        payload: the body of a message, or of an edit.
        names: of the files that the message will have.
        was_v2: the message that is edited consists of components already.

    Returns:
        Whether it will consist of components only.
    """
    components = payload.get("components") or []
    flags = payload.get("flags") or 0
    if not (flags & V2 or was_v2):
        _check_rows(components)
        return False
    for field in ("content", "embeds", "poll", "sticker_ids"):
        if payload.get(field):
            text = f"The '{field}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
            raise invalid(field, text, _LEGACY)
    if was_v2 and "flags" in payload and not flags & V2:
        raise invalid("flags", "MessageFlags.IS_COMPONENTS_V2 cannot be removed")
    if "components" in payload:
        _check_layout(components, names)
    return True


def resolved(components: list[Json], attachments: list[Json]) -> list[Json]:
    """As Discord stores them: numbered, pictures with the address that they have now."""
    urls = {f"attachment://{one['filename']}": one for one in attachments}

    def stored(value: Any) -> Any:
        if isinstance(value, list):
            return [stored(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept = {key: stored(each) for key, each in value.items() if each is not None}
        if "type" in kept:
            kept.setdefault("id", int(snowflake()) & 0x7FFFFFFF)
        if value.get("url") in urls:
            one = urls[value["url"]]
            kept |= {"url": one["url"], "proxy_url": one["url"], "attachment_id": one["id"]}
        return kept

    return [stored(each) for each in components]


def _check_layout(components: list[Json], names: set[str]) -> None:
    everything = list(walk(components))
    if not 1 <= len(everything) <= MAX_COMPONENTS:
        raise invalid("components", "Must be between 1 and 40 in length.", "BASE_TYPE_BAD_LENGTH")
    for each in components:
        inside = each["type"] == CONTAINER and each["components"]
        wrong = [one for one in inside or () if one["type"] not in _IN_CONTAINER]
        if each["type"] not in _ON_TOP or wrong or inside == []:
            raise invalid("components", "Value of field type must be one of those.")
    texts = [one["content"] for one in everything if one["type"] == TEXT]
    if sum(map(len, texts)) > MAX_TEXT_CHARS or not all(texts):
        raise invalid("components", "The text displays exceed 4000 characters in all.")
    for one in everything:
        if one["type"] == GALLERY:
            _check_gallery(one["items"], names)
    _check_buttons([one for one in everything if one["type"] == ROW])


def _check_gallery(items: list[Json], names: set[str]) -> None:
    if not 1 <= len(items) <= MAX_PICTURES:
        raise invalid("items", "Must be between 1 and 10 in length.", "BASE_TYPE_BAD_LENGTH")
    for item in items:
        scheme, _, name = item["media"]["url"].partition("://")
        if scheme == "attachment" and name not in names:
            raise invalid("media", f"The attachment {name} was not found.")
        if len(item.get("description") or "") > MAX_ALT_CHARS:
            raise invalid("description", "Must be 1024 or fewer in length.", "BASE_TYPE_MAX_LENGTH")


def _check_rows(rows: list[Json]) -> None:
    if len(rows) > 5 or any(row["type"] != ROW for row in rows):
        raise invalid("components", "Value of field type must be 1, in five rows at most.")
    _check_buttons(rows)


def _check_buttons(rows: list[Json]) -> None:
    buttons = [button for row in rows for button in row["components"]]
    ids = [button["custom_id"] for button in buttons]
    crowded = any(not 1 <= len(row["components"]) <= 5 for row in rows)
    unnamed = any(not 1 <= len(button.get("label") or "") <= 80 for button in buttons)
    if crowded or unnamed or len(set(ids)) < len(ids) or any(len(each) > 100 for each in ids):
        raise Refusal(400, 50035, "Invalid Form Body", {"components": {"_errors": []}})


def check_form(form: Json) -> None:
    """Refuse a form that Discord refuses."""
    labels = form["components"]
    texts = [form["title"], *(label.get("label", "") for label in labels)]
    fields = [label["component"] for label in labels]
    too_long = any(len(each.get("value") or "") > each.get("max_length", 4000) for each in fields)
    if too_long or not 1 <= len(labels) <= 5 or any(not 1 <= len(text) <= 45 for text in texts):
        raise Refusal(400, 50035, "Invalid Form Body", {"components": {"_errors": []}})
