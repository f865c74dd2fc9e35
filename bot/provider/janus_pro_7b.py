"""Janus-Pro-7B on a Gradio Space: chat, questions about a picture, and pictures."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp

from bot.provider.answering import Request, answer
from bot.provider.base import AsyncGeneratorProvider, ProviderModelMixin, on_class_or_instance
from bot.provider.gradio_client import GradioClient
from bot.provider.hugging_face import HF_URL, NOT_UP
from bot.provider.job import (
    GENERATE,
    KNOWN,
    UNDERSTAND,
    Drawing,
    Job,
    Question,
    Wishes,
    make_job,
)
from bot.provider.place import ANYBODY, Access, Caller
from bot.provider.prompt import Message
from bot.provider.responses import JsonConversation, Response
from bot.provider.wire import Patience, PendingResponse
from bot.provider.zerogpu import UNKNOWN_UUID

_FIRST = JsonConversation()
"""What goes before the first request of somebody."""


class DeepseekAI_JanusPro7b(AsyncGeneratorProvider, ProviderModelMixin):  # noqa: N801 - its public name
    """Janus-Pro-7B on the public Space, a duplicate of it, or any Gradio server that is like it.

    The class attributes describe the public Space. A subclass may override `space` or `api_url`,
    and an instance takes its own. The two generators may be called on the class as well, and then
    act on an instance with the defaults.

    Args:
        space: `owner/name` of a Space; its address is asked of Hugging Face.
        api_url: root of a Gradio server, without the Gradio prefix, in place of `space`.
        hf_token: token of a Hugging Face account, whose quota then pays. Sent to Hugging Face and
            to Spaces there, never to another `api_url`.
        session: used for every request and left open; if none is given, each call opens its own.
            For a SOCKS proxy it has to come from `open_session(proxy)`.
        proxy: `http://`, `https://` or `socks5://` address.
        timeout: seconds that one generation may take, queue time not included; 0 or
            `None` for no limit.
        patience: all other time limits.
        hf_url: root of the Hub, for mirrors and tests.

    Raises:
        ConfigError: an address that is none.

    Attributes:
        label: name for people.
        space: id of the Space; `""` for a server that is none.
        url: page of the Space.
        api_url: root of the Gradio server.
        referer: sent when joining the queue.
        working: whether the provider can be used.
        supports_stream: text comes piece by piece if the Space sends it so.
        supports_system_message: system messages become part of the question.
        supports_message_history: so does the history, newest first, as far as it fits.
        default_model: for chat.
        default_image_model: makes pictures.
        default_vision_model: looks at pictures.
        image_models: models that make pictures.
        vision_models: models that look at pictures.
        models: all of them.
    """

    label = "DeepSeek Janus-Pro-7B"
    space = "deepseek-ai/Janus-Pro-7B"
    url = f"{HF_URL}/spaces/{space}"
    api_url = "https://deepseek-ai-janus-pro-7b.hf.space"
    referer = f"{api_url}?__theme=light"
    working = True
    supports_stream = True
    supports_system_message = True
    supports_message_history = True
    default_model = "janus-pro-7b"
    default_image_model = "janus-pro-7b-image"
    default_vision_model = default_model
    image_models: ClassVar[list[str]] = [default_image_model]
    vision_models: ClassVar[list[str]] = [default_vision_model]
    models: ClassVar[list[str]] = vision_models + image_models

    def __init__(  # noqa: PLR0913 - all by name, all optional
        self,
        *,
        space: str | None = None,
        api_url: str | None = None,
        hf_token: str | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        timeout: float | None = 300.0,
        patience: Patience | None = None,
        hf_url: str = HF_URL,
    ) -> None:
        space, api_url = self._located(space or "", api_url or "", hf_url)
        self._access = Access(
            space=space,
            api_url=api_url,
            hf_url=hf_url,
            hf_token=hf_token or "",
            session=session,
            proxy=proxy,
            patience=replace(patience or Patience(), generation=timeout or float("inf")),
        )
        self.space = space
        self.api_url = self._access.api_url
        self.referer = f"{self.api_url}?__theme=light"
        self.url = f"{self._access.hf_url}/spaces/{space}" if space else self.api_url

    @classmethod
    def _located(cls, space: str, api_url: str, hf_url: str) -> tuple[str, str]:
        """Space and address to use; an empty address is to be asked of the Hub."""
        moved = cls.api_url != DeepseekAI_JanusPro7b.api_url
        renamed = cls.space != DeepseekAI_JanusPro7b.space
        if api_url:
            # The id of the public Space would be a lie about any other address.
            return space or (cls.space if api_url.rstrip("/") == cls.api_url else ""), api_url
        if space not in {"", cls.space}:
            return space, ""
        if moved:
            return cls.space if renamed else "", cls.api_url
        return cls.space, "" if renamed or hf_url != HF_URL else cls.api_url

    @property
    def name(self) -> str:
        """What recipes and reports call this Space: its id, or its address."""
        return self._access.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @on_class_or_instance
    def run(
        self,
        /,
        method: str,
        session: aiohttp.ClientSession,
        prompt: str,
        conversation: JsonConversation,
        image: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> PendingResponse:
        """One raw request to the Space's queue; `create_async_generator` is the whole story.

        Args:
            method: `"post"` joins the queue with a question, `"image"` with pictures to make, and
                `"get"` opens the event stream of what was joined.
            session: whose connections are used.
            prompt: the question, or what to draw.
            conversation: `session_hash` names the request; its ZeroGPU tokens go along.
            image: value of the image input, as Gradio's `FileData`.
            seed: 0 to 2**32 - 1.

        Returns:
            Awaited, or entered with `async with`, it gives the `aiohttp.ClientResponse`.

        Raises:
            ValueError: another method.
            ProviderError: on awaiting; there was no answer.
        """
        if method not in {"post", "image", "get"}:
            raise ValueError(f"method is 'post', 'image' or 'get', not {method!r}")
        return PendingResponse(self._run(method, session, prompt, conversation, image, seed))

    async def _run(
        self,
        /,
        method: str,
        session: aiohttp.ClientSession,
        prompt: str,
        conversation: JsonConversation,
        image: Mapping[str, Any] | None,
        seed: int,
    ) -> aiohttp.ClientResponse:
        place = await self._access.find(ANYBODY, session)
        config = await place.server.config()
        headers = self._access.join_headers(place, conversation)
        client = GradioClient(place.server, config, headers)
        if method == "get":
            return await client.start_stream(quote(conversation.session_hash, safe=""))
        if method == "image":
            function = config.function(GENERATE.name)
            inputs = Drawing(prompt, seed).inputs()
        else:
            function = config.function(UNDERSTAND.name)
            inputs = Question(prompt, b"", "", seed).inputs(image)
        return await client.start_join(function, inputs, conversation.session_hash)

    @on_class_or_instance
    def create_async_generator(  # noqa: PLR0913, PLR0917 - the specification's
        self,
        /,
        model: str = "",
        messages: Sequence[Message] = (),
        media: Sequence[Any] | None = None,
        prompt: str | None = None,
        proxy: str | None = None,
        cookies: Mapping[str, str] | None = None,
        api_key: str | None = None,
        zerogpu_uuid: str | None = UNKNOWN_UUID,
        return_conversation: bool = False,
        conversation: JsonConversation | None = None,
        seed: int | None = None,
        *,
        guidance: float | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        **unknown: Any,
    ) -> AsyncGenerator[Response, None]:
        """Answer a conversation, or make pictures.

        A `prompt` makes pictures, and so does the image model as long as there is no picture to ask
        about. Everything else is a question: about the last picture given, or a plain one.

        Args:
            model: one of `models`; `""` for the default.
            messages: oldest first; strings, or dictionaries with `role` and `content`.
            media: pictures, each as `bot.image.to_bytes` takes it, or a pair of one and its name.
                Sent as they are. The Space looks at one: the last.
            prompt: what to draw.
            proxy: for this call, in place of the instance's.
            cookies: of huggingface.co, sent there only, to get a ZeroGPU token.
            api_key: a Hugging Face token (`hf_…`) for this call, in place of the instance's.
            zerogpu_uuid: of this visitor, if known.
            return_conversation: yield the conversation before all else.
            conversation: of an earlier call.
            seed: 0 to 2**32 - 1; random if not given, and then told in the first `Reasoning` or in
                the recipe of the images.
            guidance: 1.0 to 10.0, for pictures; 5.0 if not given.
            temperature: 0.0 to 1.0; 0.1 for text and 1.0 for pictures if not given.
            top_p: 0.0 to 1.0, for text; 0.95 if not given.
            unknown: nothing else is taken.

        Returns:
            A generator of `Reasoning` (how far it is) and `Text` (what is new of the answer) or one
            `ImageResponse`. Close it early to give up.

        Raises:
            TypeError: at once; an option that does not exist.
            ProviderError: from the generator; there was no answer, and the text says why.
            ImageError: from the generator; the picture cannot be sent.

        Cancelling: hangs up and tells the Space, within `Patience.cancel`.
        """
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        caller, before = _caller(proxy, cookies, api_key), conversation or _FIRST
        if zerogpu_uuid and zerogpu_uuid != UNKNOWN_UUID:
            before = replace(before, zerogpu_uuid=zerogpu_uuid)
        wishes = Wishes(seed, guidance, temperature, top_p)

        def job() -> Job:
            draws = self.get_model(model) in self.image_models
            return make_job(messages, media, prompt, wishes, draws=draws)

        request = Request(job, caller, before, return_conversation)
        if session := self._access.shared_session(caller):
            return answer(self._access, session, request)
        return self._answer_alone(request)

    async def _answer_alone(self, request: Request) -> AsyncGenerator[Response, None]:
        async with self._access.session(request.caller) as session:
            responses = answer(self._access, session, request)
            async with aclosing(responses):
                async for response in responses:
                    yield response

    async def check(self) -> str:
        """Whether the Space can be used, without using or waking it.

        Returns:
            What it is, e.g. `"Gradio 5.1.0"`.

        Raises:
            ProviderError: it cannot; the text says why.
        """
        async with self._access.session(ANYBODY) as session:
            place = await self._access.find(ANYBODY, session)
            try:
                config = await place.server.config()
            except NOT_UP as error:
                if place.hub is None:
                    raise
                raise await place.hub.explain(error) from error
            for name in KNOWN:
                config.function(name)
            return f"Gradio {'.'.join(map(str, config.version))}".rstrip()


def _caller(proxy: str | None, cookies: Mapping[str, str] | None, api_key: str | None) -> Caller:
    """Who asks; other keys than those of Hugging Face mean nothing here."""
    key = (api_key or "").strip()
    token = key if key.startswith("hf_") else ""
    return Caller(proxy, cookies, token) if proxy or cookies or token else ANYBODY
