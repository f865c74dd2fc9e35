"""The Bot API methods that the bot uses, with the official server's own refusals."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.telegram_world import Chat, Json, Refusal, Stored, World, bad_request, units

MAX_TEXT, MAX_CAPTION, MAX_FILE = 4096, 1024, 20_000_000
MAX_PHOTO = 10_000_000
MAX_CALLBACK, MAX_ALERT = 64, 200
MAX_RESULTS = 50

_RIGHTS = (
    "can_be_edited",
    "is_anonymous",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
"""What a member that is an administrator always says (Bot API, `ChatMemberAdministrator`)."""


@dataclass
class File:
    """A file of a multipart request."""

    name: str
    data: bytes
    media_type: str


@dataclass
class Call:
    """One request: values are strings or, where they were JSON, what that says.

    Attributes:
        at: monotonic seconds at which it was read.
    """

    method: str
    params: Json
    files: dict[str, File]
    at: float = field(default_factory=time.monotonic)

    def file(self, value: Any) -> File:
        """The file that a value means: the part itself, or one that `attach://` names."""
        part = self.files.get(str(value).removeprefix("attach://"))
        if part is None:
            raise bad_request("wrong remote file identifier specified: can't unserialize it")
        return part


class Methods:
    """Calls on a world; results as the Bot API gives them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def find(self, method: str) -> Callable[[Call], Any]:
        """The function for a method, whatever its case.

        Raises:
            Refusal: there is none.
        """
        found = getattr(self, f"do_{method.lower()}", None)
        if found is None:
            raise Refusal(404, "Not Found: method not found")
        handler: Callable[[Call], Any] = found
        return handler

    def do_getme(self, call: Call) -> Json:
        return self._world.me

    def do_setmycommands(self, call: Call) -> bool:
        self._world.commands[_menu(call)] = call.params["commands"]
        return True

    def do_getmycommands(self, call: Call) -> list[Json]:
        return self._world.commands.get(_menu(call), [])

    def do_sendchataction(self, call: Call) -> bool:
        self._world.find(call.params.get("chat_id"))
        return True

    def do_answercallbackquery(self, call: Call) -> bool:
        if call.params["callback_query_id"] not in self._world.presses:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        if units(str(call.params.get("text", ""))) > MAX_ALERT:
            raise bad_request("MESSAGE_TOO_LONG")
        return True

    def do_getchatmember(self, call: Call) -> Json:
        chat = self._world.find(call.params.get("chat_id"))
        user = int(call.params["user_id"])
        status = "administrator" if user in chat.administrators else "member"
        person = {"id": user, "is_bot": False, "first_name": "Somebody"}
        rights = dict.fromkeys(_RIGHTS, True) if status == "administrator" else {}
        return {"status": status, "user": person, **rights}

    def do_getfile(self, call: Call) -> Json:
        stored = self._world.files.get(call.params["file_id"])
        if stored is None:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        if stored.size > MAX_FILE:
            raise bad_request("file is too big")
        return {
            "file_id": stored.file_id,
            "file_unique_id": stored.file_id,
            "file_size": stored.size,
            "file_path": stored.path,
        }

    def do_sendmessage(self, call: Call) -> Json:
        chat = self._world.find(call.params.get("chat_id"))
        text = _text(call.params, "text", "entities", MAX_TEXT)
        if not text:
            raise bad_request("message text is empty")
        aim = call.params.get("ephemeral_message_parameters")
        if aim is not None and self._world.ephemeral is not None:
            return self._send_ephemeral(chat, text, aim)
        return self._send(chat, call, text=text, entities=call.params.get("entities"))

    def _send_ephemeral(self, chat: Chat, text: str, aim: Json) -> Json:
        """A message for one person, which the chat does not hold."""
        if chat.is_private or self._world.ephemeral == "refused":
            raise bad_request("EPHEMERAL_MESSAGE_NOT_ALLOWED")
        chat.ephemeral.append((aim["receiver_user_id"], text))
        return {
            "message_id": 0,
            "ephemeral_message_id": len(chat.ephemeral),
            "date": 1,
            "chat": chat.info,
            "text": text,
        }

    def do_sendmessagedraft(self, call: Call) -> bool:
        chat = self._world.find(call.params.get("chat_id"))
        if not chat.is_private:
            raise bad_request("TEXTDRAFT_PEER_INVALID")
        if not call.params.get("draft_id"):
            raise bad_request("draft identifier must be non-zero")
        text = _text(call.params, "text", "entities", MAX_TEXT)
        chat.drafts[int(call.params["draft_id"])] = text
        return True

    def do_sendphoto(self, call: Call) -> Json:
        chat = self._world.find(call.params.get("chat_id"))
        caption = _text(call.params, "caption", "caption_entities", MAX_CAPTION)
        sizes = self._photo(call.file(call.params.get("photo", "photo")))
        return self._send(
            chat,
            call,
            photo=sizes,
            caption=caption or None,
            caption_entities=call.params.get("caption_entities"),
        )

    def do_senddocument(self, call: Call) -> Json:
        chat = self._world.find(call.params.get("chat_id"))
        caption = _text(call.params, "caption", "caption_entities", MAX_CAPTION)
        file = call.file(call.params.get("document", "document"))
        return self._send(
            chat,
            call,
            document=self._world.document(file.data, file.name, file.media_type),
            caption=caption or None,
            caption_entities=call.params.get("caption_entities"),
        )

    def do_sendmediagroup(self, call: Call) -> list[Json]:
        chat = self._world.find(call.params.get("chat_id"))
        media: list[Json] = call.params["media"]
        if not 2 <= len(media) <= 10:
            raise bad_request("wrong number of items in the media group")
        contents = []
        for item in media:
            caption = _text(item, "caption", "caption_entities", MAX_CAPTION)
            file = call.file(item["media"])
            content = {"caption": caption or None, "caption_entities": item.get("caption_entities")}
            if item["type"] == "photo":
                content["photo"] = self._photo(file)
            else:
                content["document"] = self._world.document(file.data, file.name, file.media_type)
            contents.append(content)
        group = str(len(chat.messages) + 1)
        return [self._send(chat, call, media_group_id=group, **content) for content in contents]

    def do_answerinlinequery(self, call: Call) -> bool:
        query = call.params["inline_query_id"]
        if query not in self._world.inline_queries:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        results: list[Json] = call.params["results"]
        ids = [result["id"] for result in results]
        if len(results) > MAX_RESULTS:
            raise bad_request("RESULTS_TOO_MUCH")
        if len(set(ids)) < len(ids):
            raise bad_request("RESULT_ID_DUPLICATE")
        if not all(1 <= len(each.encode()) <= MAX_CALLBACK for each in ids):
            raise bad_request("RESULT_ID_INVALID")
        for result in results:
            if "photo_file_id" in result:
                self._known(result["photo_file_id"])
        self._world.inline_queries[query] = dict(call.params)
        return True

    def do_editmessagemedia(self, call: Call) -> Any:
        message = self._editable(call)
        media: Json = call.params["media"]
        caption = _text(media, "caption", "caption_entities", MAX_CAPTION)
        if not str(media["media"]).startswith("attach://"):
            shown = [{"file_id": self._known(media["media"]).file_id}]
        elif "inline_message_id" in call.params:
            # "When an inline message is edited, a new file can't be uploaded" (Bot API).
            raise bad_request("Invalid message content specified")
        else:
            shown = self._photo(call.file(media["media"]))
        message.pop("text", None)
        message.pop("entities", None)
        return _result(
            call,
            _changed(
                message,
                photo=shown,
                caption=caption or None,
                caption_entities=media.get("caption_entities"),
                reply_markup=_keyboard(call),
            ),
        )

    def do_editmessagetext(self, call: Call) -> Any:
        message = self._editable(call)
        if "text" not in message:
            raise bad_request("there is no text in the message to edit")
        text = _text(call.params, "text", "entities", MAX_TEXT)
        if not text:
            raise bad_request("message text is empty")
        changed = _changed(
            message,
            text=text,
            entities=call.params.get("entities"),
            # An edit states the whole message: without a keyboard, the one there goes.
            reply_markup=_keyboard(call),
        )
        return _result(call, changed)

    def do_editmessagecaption(self, call: Call) -> Json:
        message = self._editable(call)
        if not message.keys() & {"photo", "document", "video", "animation"}:
            raise bad_request("there is no caption in the message to edit")
        caption = _text(call.params, "caption", "caption_entities", MAX_CAPTION)
        return _changed(
            message,
            caption=caption or None,
            caption_entities=call.params.get("caption_entities"),
        )

    def do_deletemessage(self, call: Call) -> bool:
        chat = self._world.find(call.params.get("chat_id"))
        if chat.messages.pop(int(call.params["message_id"]), None) is None:
            raise bad_request("message to delete not found")
        return True

    def _send(self, chat: Chat, call: Call, **content: Any) -> Json:
        topic = call.params.get("message_thread_id")
        if topic is not None and int(topic) not in chat.topics:
            raise bad_request("message thread not found")
        wanted = call.params.get("reply_parameters")
        if wanted is not None:
            answered = chat.messages.get(int(wanted["message_id"]))
            if answered is None and not wanted.get("allow_sending_without_reply"):
                raise bad_request("message to be replied not found")
            content["reply_to_message"] = answered
        if (markup := _keyboard(call)) is not None:
            content["reply_markup"] = markup
        # A draft lasts until the next real message.
        chat.drafts.clear()
        number = None if topic is None else int(topic)
        return self._world.store(chat, self._world.me, topic=number, **content)

    def _photo(self, file: File) -> list[Json]:
        if len(file.data) > MAX_PHOTO:
            raise bad_request("IMAGE_PROCESS_FAILED")
        return self._world.photo_sizes(file.data)

    def _known(self, file_id: str) -> Stored:
        stored = self._world.files.get(file_id)
        if stored is None:
            raise bad_request("wrong remote file identifier specified: can't unserialize it")
        return stored

    def _editable(self, call: Call) -> Json:
        if (inline := call.params.get("inline_message_id")) is not None:
            found = self._world.inline_messages.get(inline)
            if found is None:
                raise bad_request("MESSAGE_ID_INVALID")
            return found
        chat = self._world.find(call.params.get("chat_id"))
        message = chat.messages.get(int(call.params["message_id"]))
        if message is None:
            raise bad_request("message to edit not found")
        if message["from"] != self._world.me:
            raise bad_request("message can't be edited")
        return message


def _keyboard(call: Call) -> Json | None:
    """The inline keyboard of a request; other markup is no part of a message."""
    markup: Json = call.params.get("reply_markup") or {}
    rows = markup.get("inline_keyboard")
    if rows is None:
        return None
    for row in rows:
        for button in row:
            if len(button.get("callback_data", "").encode()) > MAX_CALLBACK:
                raise bad_request("BUTTON_DATA_INVALID")
    return {"inline_keyboard": rows}


def _result(call: Call, message: Json) -> Any:
    """What an edit answers: of an inline message, the bot is told nothing."""
    return True if "inline_message_id" in call.params else message


def _menu(call: Call) -> tuple[str, str]:
    """Whose menu a request is about: the type of its scope, and a language."""
    scope = call.params.get("scope") or {"type": "default"}
    return scope["type"], call.params.get("language_code", "")


def _text(params: Json, name: str, entities: str, most: int) -> str:
    """The text of a request, with its entities inside it."""
    if "parse_mode" in params:
        raise bad_request("can't parse entities: this server takes entities only")
    text = str(params.get(name, ""))
    if units(text.strip()) > most:
        what = "caption " if name == "caption" else ""
        raise bad_request(f"message {what}is too long")
    for entity in params.get(entities) or []:
        if entity["offset"] < 0 or entity["offset"] + entity["length"] > units(text):
            raise bad_request("ENTITY_BOUNDS_INVALID")
    return text.strip()


def _changed(message: Json, **content: Any) -> Json:
    if all((message.get(key) or None) == (value or None) for key, value in content.items()):
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    message.update(content)
    return message


_JSON = frozenset(
    {
        "allowed_updates",
        "button",
        "caption_entities",
        "commands",
        "entities",
        "ephemeral_message_parameters",
        "link_preview_options",
        "media",
        "reply_markup",
        "reply_parameters",
        "results",
        "scope",
    }
)


def loaded(name: str, value: str) -> Any:
    """A value of a form; the ones that are not plain are JSON (Bot API, "Making requests")."""
    if name not in _JSON:
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise bad_request(f"can't parse {name.replace('_', ' ')} JSON object") from None
