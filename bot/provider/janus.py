"""Janus-Pro-7B on a Gradio Space: chat, questions about a picture, and pictures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

import aiohttp

from bot.errors import (
    GenerationFailed,
    ImageUnreadable,
    ProviderError,
    QuotaExceeded,
    SpaceNotFound,
    SpaceUnreachable,
)
from bot.files import File
from bot.hosts import space_of_page
from bot.image import is_accepted_format
from bot.provider.access import ANYBODY, Caller, SpaceAccess, SpaceTarget
from bot.provider.errors import network_error
from bot.provider.gradio.client import GradioClient
from bot.provider.gradio.config import SpaceConfig
from bot.provider.gradio.files import download_what_is_there, gallery_paths, image_input
from bot.provider.gradio.previews import with_previews
from bot.provider.http import PendingResponse, Timeouts
from bot.provider.huggingface import HF_URL, NOT_UP, UNKNOWN_UUID
from bot.provider.on_class import on_class_or_instance
from bot.provider.prompt import (
    KNOWN_FUNCTIONS,
    Drawing,
    Message,
    Options,
    Question,
    Request,
    make_request,
)
from bot.provider.remarks import hushed, missing, warnings
from bot.provider.responses import (
    AsyncGeneratorProvider,
    GpuTime,
    ImageResponse,
    JsonConversation,
    ProviderModelMixin,
    Reasoning,
    Response,
    Stage,
)
from bot.provider.yielded import Yielded

_MAYBE_STALE = (*NOT_UP, GenerationFailed)
"""Errors that a Space gives, too, when it was redeployed and its functions have moved."""

_HF_PREFIX = "hf_"
_NO_HF_TOKEN = (
    f"The api_key is ignored: it is not a token of Hugging Face, which begins with {_HF_PREFIX}."
)


class DeepseekAI_JanusPro7b(AsyncGeneratorProvider, ProviderModelMixin):  # noqa: N801 - its public name
    """Janus-Pro-7B on the public Space, a duplicate of it, or any Gradio server that is like it.

    The class attributes describe the public Space. A subclass may override any of them, and an
    instance may be given its own `space` or `api_url`, also later: setting one moves the provider
    there. `run` and `create_async_generator` can be called on the class as well, and then act on
    one instance with the defaults, which is kept.

    Args:
        space: `owner/name` of a Space; Hugging Face is asked for its address.
        api_url: root of a Gradio server, without the Gradio prefix, in place of `space`.
        hf_token: token of a Hugging Face account, whose quota then pays. Sent to Hugging Face and
            to Spaces there, never to another `api_url`.
        access_token: that a server of your own asks for (`janus-bot space --access-token`). Sent to
            `api_url` only; an `hf_token` goes before it on Hugging Face.
        session: used for every request and left open. Without one, calls share one of their own,
            which is closed some seconds after the last, or at the end of `asyncio.run`. For a SOCKS
            proxy it has to come from `open_session(proxy)`.
        proxy: `http://`, `https://` or `socks5://` address.
        timeout: seconds that one generation may take, queue time not included; 0 or
            `None` for no limit.
        timeouts: all other time limits; `timeout` takes the place of its `generation`.
        hf_url: root of the Hub; another one is for mirrors and tests.
        ca_file: certificates (PEM) of an authority that is trusted beside the usual ones, in the
            sessions that the provider opens; a `session` has its own (`open_session`).
        name: what recipes and reports call the Space, in place of its id or its address.
        shows_address: errors tell the address of a server that has no id; without it, its name.

    Raises:
        ConfigError: `api_url`, `hf_url` or `proxy` is not an address.

    Attributes:
        label: name for people.
        space: id of the Space; `""` for a server that is not one of Hugging Face's.
        url: page of the Space.
        api_url: root of the Gradio server.
        referer: sent with every request to the Space.
        working: whether the provider can be used; if not, it refuses.
        supports_stream: text comes piece by piece if the Space sends it so.
        supports_system_message: system messages become part of the question.
        supports_message_history: so do earlier messages, the newest first, as far as they fit.
        default_model: the model for chat.
        default_image_model: the one that makes pictures.
        default_vision_model: the one that looks at pictures.
        image_models: all that make pictures.
        vision_models: all that look at pictures.
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
    _default: ClassVar[tuple[tuple[str, ...], Any] | None] = None

    def __init__(  # noqa: PLR0913 - all by name, all optional
        self,
        *,
        space: str | None = None,
        api_url: str | None = None,
        hf_token: str | None = None,
        access_token: str | None = None,
        session: aiohttp.ClientSession | None = None,
        proxy: str | None = None,
        timeout: float | None = 300.0,
        timeouts: Timeouts | None = None,
        hf_url: str = HF_URL,
        ca_file: str | Path | None = None,
        name: str = "",
        shows_address: bool = True,
    ) -> None:
        cls = type(self)
        self._hf_url = hf_url
        self._referer = "" if cls.referer == _USUAL_REFERER else cls.referer
        self._page = "" if cls.url == _USUAL_PAGE else cls.url
        limits = replace(timeouts or Timeouts(), generation=timeout or float("inf"))

        # Not a `partial`: that one shows its arguments, among which are tokens.
        def connect(space: str, api_url: str, referer: str) -> SpaceAccess:
            return SpaceAccess(
                space=space,
                api_url=api_url,
                referer=referer,
                hf_url=hf_url,
                hf_token=hf_token or "",
                access_token=access_token or "",
                session=session,
                proxy=proxy,
                timeouts=limits,
                ca_file=ca_file,
                name=name,
                shows_address=shows_address,
            )

        self._connect = connect
        self._move(space or "", api_url or "")

    def __setattr__(self, name: str, value: Any) -> None:
        match name:
            case "space":
                self._move(value, "")
            case "api_url":
                self._move("", value)
            case "referer":
                self._referer = value
                self._move(*self._moved_to)
            case "url":
                self._page = vars(self)["url"] = value
            case _:
                super().__setattr__(name, value)

    def _move(self, space: str, api_url: str) -> None:
        """Point at this Space or server, or at the class's own for `""`."""
        self._moved_to = space, api_url
        space, api_url = self._located(space, api_url, self._hf_url)
        self._access = access = self._connect(space, api_url, self._referer)
        page = f"{access.hf_url}/spaces/{space}" if space else access.api_url
        vars(self).update(
            space=space,
            api_url=access.api_url,
            referer=self._referer or f"{access.api_url}?__theme=light",
            url=self._page or page,
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "models" not in vars(cls):
            cls.models = list(dict.fromkeys([*cls.vision_models, *cls.image_models]))

    @classmethod
    def default(cls) -> Self:
        """The instance that the class acts on; another one once the class was changed."""
        described = (cls.space, cls.api_url, cls.referer, cls.url)
        kept = vars(cls).get("_default")
        if kept is None or kept[0] != described:
            kept = described, cls()
            cls._default = kept
        instance: Self = kept[1]
        return instance

    @classmethod
    def _located(cls, space: str, api_url: str, hf_url: str) -> tuple[str, str]:
        """Space and address to use; an empty address is to be asked of the Hub."""
        moved = cls.api_url != DeepseekAI_JanusPro7b.api_url
        renamed = cls.space != DeepseekAI_JanusPro7b.space
        # The page of a Space, as it is copied from a browser, stands for the Space.
        space, api_url = space_of_page(space) or space, api_url.strip()
        if page := space_of_page(api_url):
            space, api_url = page, ""
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
        """What recipes and reports call this Space: the name given, its id, or its address."""
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
        """Send one raw request to the Space's queue; `create_async_generator` does a whole turn.

        Args:
            method: `"post"` joins the queue with a question, `"image"` with pictures to make, and
                `"get"` opens the event stream of what was joined.
            session: used for the request and left open.
            prompt: the question, or what to draw.
            conversation: `session_hash` names the request; its ZeroGPU tokens go along.
            image: value of the image input, as Gradio's `FileData`.
            seed: 0 to 2**32 - 1.

        Returns:
            Awaited, or entered with `async with`, it gives the `aiohttp.ClientResponse`.

        Raises:
            ValueError: there is no such method.
            ProviderError: on awaiting; there was no answer.
        """
        request: Request | None
        match method:
            case "post":
                request = Question(prompt, File(b"", ""), seed)
            case "image":
                request = Drawing(prompt, seed)
            case "get":
                request = None
            case _:
                raise ValueError(f"method is 'post', 'image' or 'get', not {method!r}")
        return PendingResponse(self._run(session, conversation, request, image))

    async def _run(
        self,
        session: aiohttp.ClientSession,
        conversation: JsonConversation,
        request: Request | None,
        image: Mapping[str, Any] | None,
    ) -> aiohttp.ClientResponse:
        async with self._access.reach(ANYBODY, session) as target:
            client, session_hash = target.client, conversation.session_hash
            config = await client.config()
            if request is not None:
                function = config.function(request.function)
                headers = self._access.join_headers(target, conversation)
                inputs = function.arranged(request.values(image))
                return await client.join(function, inputs, session_hash, headers)
            try:
                async with asyncio.timeout(client.http.timeouts.answer):
                    return await client.open_stream(quote(session_hash, safe=""))
            except TimeoutError as error:
                raise network_error(error, client.http.host) from error

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
        previews: bool = True,
        **unknown: Any,
    ) -> AsyncGenerator[Response, None]:
        """Answer a conversation, or make pictures.

        A `prompt` makes pictures, and so does the image model as long as there is no picture to ask
        about. Everything else is a question, about the last picture if there is one.

        Args:
            model: one of `models`; `""` for the default.
            messages: oldest first; strings, or dictionaries with `role` and `content`.
            media: pictures, each as `bot.image.to_bytes` takes it, a `File`, or a pair of one and
                its name. They are sent as they are. The Space looks at only one, the last.
            prompt: what to draw.
            proxy: for this call, in place of the instance's.
            cookies: of huggingface.co, sent there only, to get a ZeroGPU token.
            api_key: a Hugging Face token (`hf_…`) for this call, in place of the instance's.
            zerogpu_uuid: id of this visitor on ZeroGPU Spaces, if known.
            return_conversation: yield the conversation before all else.
            conversation: of an earlier call.
            seed: 0 to 2**32 - 1; random if not given, and then told in the first `Reasoning` or in
                the recipe of the images.
            guidance: 1.0 to 10.0, for pictures; 5.0 if not given.
            temperature: 0.0 to 1.0; 0.1 for text and 1.0 for pictures if not given.
            top_p: 0.0 to 1.0, for text; 0.95 if not given.
            previews: yield pictures while they are drawn, if the Space shows them; without it
                they are not even fetched.
            unknown: there are no other options.

        Returns:
            A generator of `Reasoning` (how far it is), and of `Text` (each is what is new of the
            answer) or one `ImageResponse`, perhaps with a `Preview` or more before it. Close it
            early to give up.

        Raises:
            TypeError: at once; there is no such option.
            ProviderError: from the generator; there was no answer, and the text says why.
            ImageError: from the generator; the picture cannot be sent.

        Cancelling: hangs up and tells the Space, which takes `Timeouts.cancel` at most.
        """
        if unknown:
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        key = (api_key or "").strip()
        token = key if key.startswith(_HF_PREFIX) else ""
        caller = Caller(proxy, cookies, token) if proxy or cookies or token else ANYBODY
        if zerogpu_uuid and zerogpu_uuid != UNKNOWN_UUID:
            conversation = replace(conversation or JsonConversation(), zerogpu_uuid=zerogpu_uuid)
        given = Options(model, messages, media, prompt, seed, guidance, temperature, top_p)
        ignored = (_NO_HF_TOKEN,) if key and not token else ()
        return self._answer(
            given, caller, conversation, ignored, tell=return_conversation, previews=previews
        )

    async def _answer(  # noqa: C901, PLR0912, PLR0915 - one turn, from its first word to its last
        self,
        given: Options,
        caller: Caller,
        before: JsonConversation | None,
        ignored: Sequence[str],
        *,
        tell: bool,
        previews: bool,
    ) -> AsyncGenerator[Response, None]:
        """One turn, from what a caller gave to the end of the answer.

        A Space that sleeps is woken. One that fails may have been redeployed since its
        configuration was read: if that has changed, and no part of the answer was yielded yet, it
        is asked once more.
        """
        if not self.working:
            raise SpaceUnreachable(f"{self.label} is marked as not working.")
        model = self.get_model(given.model)
        request = make_request(
            given,
            draws=model in {*self.image_models, self.default_image_model},
            system=self.supports_system_message,
            history=self.supports_message_history,
        )
        draws, redact = isinstance(request, Drawing), self._access.redactor(caller)
        async with hushed(redact), self._access.reach(caller) as target:
            conversation = await self._access.conversation(target, caller, before)
            told: Sequence[Response] = (conversation,) if tell else ()
            for first in (*told, *request.notes, *warnings(ignored, target, caller)):
                yield first
            client, headers = target.client, self._access.join_headers(target, conversation)
            failed: ProviderError | None = None
            known: SpaceConfig | None = None
            while True:
                try:
                    config = await client.config()
                except ProviderError as error:
                    if isinstance(error, SpaceNotFound) and await self._access.found_again(target):
                        failed = known = None
                        continue
                    async with aclosing(_wake(target, error, failed)) as stages:
                        async for stage in stages:
                            yield stage
                    config = await client.config()
                else:
                    if failed is not None and config == known:
                        raise failed
                yielded = Yielded(draws, streams=self.supports_stream, redact=redact)
                try:
                    function = config.function(request.function)
                    picture = request.picture and await image_input(client, config, request.picture)
                    inputs = function.arranged(request.values(picture))
                    call = client.call(function, inputs, conversation.session_hash, headers)
                    shown = previews and yielded.draws
                    async with (
                        aclosing(call),
                        aclosing(with_previews(client, call) if shown else call) as events,
                    ):
                        async for event in events:
                            if response := yielded.add(event):
                                yield response
                    if isinstance(request, Drawing):
                        yield Reasoning(Stage.FETCHING)
                        images = await self._images(client, request, yielded.data)
                        if images.missing:
                            yield missing(images)
                        yield images
                except QuotaExceeded as error:
                    self._access.asks.refused(error.requested)
                    raise
                except _MAYBE_STALE as error:
                    if failed is not None or yielded.text:
                        raise
                    failed, known = error, config
                    client.cache.forget()
                else:
                    return

    async def _images(
        self, client: GradioClient, drawing: Drawing, data: list[Any]
    ) -> ImageResponse:
        paths = gallery_paths(data)
        if not paths:
            raise GenerationFailed("The Space made no pictures.")
        files: list[File] = []
        failed: ProviderError | None = None
        for index, file in enumerate(await download_what_is_there(client, paths)):
            if isinstance(file, ProviderError):
                failed = failed or file
                continue
            try:
                media_type = is_accepted_format(file)
            except ImageUnreadable:
                wrong = GenerationFailed("The Space sent something that is not a picture.")
                failed = failed or wrong
            else:
                files.append(File(file, media_type, recipe=drawing.recipe(self.name, index)))
        if not files and failed is not None:
            raise failed
        return ImageResponse(files, missing=len(paths) - len(files))

    @property
    def gpu_time(self) -> GpuTime:
        """What is known of the GPU time for the instance's own account, without asking anybody."""
        return self._access.gpu_time

    async def ask_gpu_time(self) -> GpuTime:
        """The same, asked of Hugging Face at most once a minute. Uses none, and fails never."""
        return await self._access.ask_gpu_time()

    async def check(self) -> str:
        """Whether the Space can be used, without using or waking it.

        Returns:
            What it is, e.g. `"Gradio 5.1.0"`, and below it which input of each function takes
            what, a line each.

        Raises:
            ProviderError: it cannot; the text says why.
        """
        async with self._access.reach(ANYBODY) as target:
            try:
                config = await target.client.config()
            except NOT_UP as error:
                if target.hub is None:
                    raise
                if not (
                    isinstance(error, SpaceNotFound) and await self._access.found_again(target)
                ):
                    raise await target.hub.explain(error) from error
                config = await target.client.config()
            functions = [config.function(name).described for name in KNOWN_FUNCTIONS]
            version = f"Gradio {'.'.join(map(str, config.version))}".rstrip()
            return "\n".join([version, *functions])


_USUAL_REFERER, _USUAL_PAGE = DeepseekAI_JanusPro7b.referer, DeepseekAI_JanusPro7b.url
"""The class's own; any others were set on purpose."""


async def _wake(
    target: SpaceTarget, error: ProviderError, failed: ProviderError | None
) -> AsyncGenerator[Reasoning, None]:
    """Wait for a Space that does not tell its configuration, if it may only sleep.

    Args:
        target: the Space.
        error: why it does not tell.
        failed: what a call raised before, for which the configuration is read again.

    Raises:
        ProviderError: waiting would not help.
    """
    try:
        if target.hub is None or not isinstance(error, NOT_UP):
            raise error
        async with aclosing(target.hub.wake(target.client.config, error)) as stages:
            async for stage in stages:
                yield stage
    except ProviderError as worse:
        # Whether the Space is up explains why it did not answer, but not why it failed.
        raise (failed if isinstance(failed, GenerationFailed) else worse) from failed
