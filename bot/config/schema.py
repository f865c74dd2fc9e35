"""The sections of the configuration: names, types, defaults and what each value may be.

Whatever is a secret, or can contain one, is a `SecretStr`: it appears in neither `repr` nor errors.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.files import OWN_SPACE
from bot.hosts import is_hugging_face, is_loopback, space_of_page
from bot.redaction import secret_parts

PUBLIC_SPACE = "deepseek-ai/Janus-Pro-7B"

AUTO = "auto"
"""As `[[spaces]] model`: the model that suits this machine."""

NO_SECRET = SecretStr("")

_HTTP = ("http", "https")
_WEB_CHAT = (
    "/api",
    "/files",
    "/healthz",
    "/login",
    "/metrics",
    "/pictures",
    "/previews",
    "/readyz",
    "/static",
)
"""The first parts of paths on the bot's own HTTP server."""


def _check_url(url: str, *schemes: str) -> str:
    """The URL without a trailing slash."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", url):
        raise ValueError(f"must be a URL that begins with {wanted}")
    return url.rstrip("/")


def _check_proxy(proxy: SecretStr) -> SecretStr:
    url = proxy.get_secret_value()
    return SecretStr(url and _check_url(url, *_HTTP, "socks5"))


def _check_database(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    try:
        usable = not text or bool(re.match(r"[a-z]\w*(\+\w+)?://", text) and urlsplit(text).scheme)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a database URL such as sqlite:///janus.db, or empty")
    return url


def _matching(pattern: str, sentence: str) -> AfterValidator:
    """Accepts text that matches as a whole; otherwise the sentence says what is wrong."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


def _check_webhook(url: str) -> str:
    if not url:
        return url
    checked = _check_url(url, *_HTTP)
    path = urlsplit(checked).path
    if any(path == taken or path.startswith(f"{taken}/") for taken in _WEB_CHAT):
        raise ValueError("needs a path that the web chat does not use, such as /telegram")
    return checked


def _check_subnet(subnet: str) -> str:
    try:
        ipaddress.ip_network(subnet)
    except ValueError:
        raise ValueError('must be an address or a network, such as "149.154.160.0/20"') from None
    return subnet


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


HttpUrl: TypeAlias = Annotated[str, AfterValidator(lambda url: _check_url(url, *_HTTP))]
OptionalHttpUrl: TypeAlias = Annotated[
    str, AfterValidator(lambda url: url and _check_url(url, *_HTTP))
]
OptionalWebhookUrl: TypeAlias = Annotated[str, AfterValidator(_check_webhook)]
OptionalSocketUrl: TypeAlias = Annotated[
    str, AfterValidator(lambda url: url and _check_url(url, "ws", "wss"))
]
OptionalProxy: TypeAlias = Annotated[SecretStr, AfterValidator(_check_proxy)]
OptionalDatabaseUrl: TypeAlias = Annotated[SecretStr, AfterValidator(_check_database)]
OptionalSpaceId: TypeAlias = Annotated[
    str,
    _matching(
        r"([\w.-]+/[\w.-]+)?",
        'must be the owner and the name of a Space, such as "someone/their-space"',
    ),
]
OptionalModel: TypeAlias = Annotated[
    str,
    # No dash in front: it becomes an argument of a program.
    _matching(
        r"([^\s\x00-\x1f-][^\x00-\x1f]*)?",
        'must be "auto", "1b", "7b", the name of a model such as "owner/name", or a folder',
    ),
]
Subnet: TypeAlias = Annotated[str, AfterValidator(_check_subnet)]
Language: TypeAlias = Annotated[
    str,
    _matching(
        r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", 'must be a language tag, such as "en" or "pt-BR"'
    ),
]
Admin: TypeAlias = Annotated[
    str,
    _matching(
        r"(discord|telegram|web):[^\s:]+",
        'must be a platform and an id, such as "discord:123" or "telegram:456"',
    ),
]
Rule: TypeAlias = Annotated[
    str,
    _matching(
        r"(discord|telegram|web):((role|channel|server):)?[^\s:]+(:\d+)?",
        'must name a person ("discord:123"), or a role, channel or server '
        '("discord:role:123", "telegram:channel:-100123")',
    ),
]
Limit: TypeAlias = Annotated[int, Field(ge=0)]
"""0 means no limit; any larger number is legal."""


class Section(BaseModel):
    """What all sections share: an unknown key is an error, and nothing changes afterwards."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True
    )


class BotSection(Section):
    """`[bot]`.

    Attributes:
        data_dir: folder of the database and the pictures; `~` is the home folder.
        language: BCP 47 tag of the language that the bot speaks.
        system_prompt: put before every question; empty for none.
        admins: people as `platform:id` who may use the commands for admins.
        previews: drawings are shown while they are made: everywhere, nowhere, or where one person
            reads.
    """

    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Path("data")
    language: Language = "en"
    system_prompt: str = ""
    admins: tuple[Admin, ...] = ()
    previews: Annotated[Literal["on", "private", "off"], BeforeValidator(_lower_case)] = "private"


class SpaceSection(Section):
    """One of `[[spaces]]`; exactly one of `id`, `url` and `model` is not empty.

    Attributes:
        id: a Space on Hugging Face, `owner/name`.
        url: the root of any Gradio server with the same functions.
        model: Janus-Pro on this machine, in a Space that the bot starts itself: `AUTO`, `1b`, `7b`,
            the name of a model, or a folder.
        name: what people are told; empty for `public_name`'s own.
        hf_token: for Hugging Face; empty once loaded if the Space is not there.
        access_token: that the Space at `url` asks for; empty once loaded if it would not be sent.
        concurrency: requests at the same time; 0 means no limit.
    """

    id: OptionalSpaceId = ""
    url: OptionalHttpUrl = ""
    model: OptionalModel = ""
    name: Annotated[str, Field(max_length=100)] = ""
    hf_token: SecretStr = NO_SECRET
    access_token: SecretStr = NO_SECRET
    concurrency: Limit = 2

    @model_validator(mode="before")
    @classmethod
    def _page_as_id(cls, data: Any) -> Any:
        """The page of a Space on Hugging Face stands for its id."""
        if not isinstance(data, dict):
            return data
        for key in ("id", "url"):
            given = data.get(key)
            if isinstance(given, str) and (space := space_of_page(given.strip())):
                return {**data, "url": "", "id": space} if key == "url" else {**data, "id": space}
        return data

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given = [name for name in ("id", "url", "model") if getattr(self, name)]
        if len(given) != 1:
            found = f", not {' and '.join(given)}" if given else ""
            raise ValueError(f"needs an id, a url or a model{found}")
        return self

    @property
    def public_name(self) -> str:
        """What recipes, exports and people are told; never an address."""
        return self.name or self.id or OWN_SPACE

    @property
    def on_hugging_face(self) -> bool:
        """Whether an `hf_token` may be sent along."""
        return bool(self.id) or is_hugging_face(self.url)


class ProviderSection(Section):
    """`[provider]`.

    Attributes:
        proxy: `http://`, `https://` or `socks5://`, perhaps with a password; empty for none.
        ca_file: certificates (PEM) of an authority that is trusted beside the usual ones; empty for
            none.
        timeout: seconds for one generation, time in the queue excluded; 0 means no limit.
        quota_wait: seconds that a request may wait for an exhausted quota; 0 means no limit.
    """

    proxy: OptionalProxy = NO_SECRET
    ca_file: str = ""
    timeout: Annotated[FiniteFloat, Field(ge=0)] = 300.0
    quota_wait: Annotated[FiniteFloat, Field(ge=0)] = 3600.0


class DiscordSection(Section):
    """`[discord]`.

    Attributes:
        token: the bot's token; empty: no Discord.
        api_url: REST root, without a trailing slash.
        gateway_url: empty: the one that Discord names.
        guild_ids: register commands in these guilds, at once; empty: globally.
        shards: connections that share the bot's servers; 0: as many as Discord advises.
        shard_ids: those of them that this process opens; empty: all.
        spoiler: pictures are hidden until somebody clicks them.
        age_restricted_only: in servers, drawings belong in age-restricted channels only.
        picture_format: `webp` is what the Space made, `png` has the recipe inside and is larger.
    """

    token: SecretStr = NO_SECRET
    api_url: HttpUrl = "https://discord.com/api/v10"
    gateway_url: OptionalSocketUrl = ""
    guild_ids: tuple[Annotated[int, Field(gt=0)], ...] = ()
    shards: Limit = 0
    shard_ids: tuple[Limit, ...] = ()
    spoiler: bool = False
    age_restricted_only: bool = False
    picture_format: Annotated[Literal["webp", "png"], BeforeValidator(_lower_case)] = "webp"

    @field_validator("shard_ids")
    @classmethod
    def _of_these_shards(cls, ids: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        shards = info.data.get("shards", 0)
        if any(each >= shards for each in ids):
            raise ValueError("needs shards, and numbers from 0 to one less than shards")
        return ids


class TelegramSection(Section):
    """`[telegram]`.

    Attributes:
        token: the bot's token; empty: no Telegram.
        api_url: root of the Bot API server, without a trailing slash.
        webhook_url: where Telegram delivers updates; empty: long polling.
        webhook_secret: sent by Telegram with every delivery; empty: a new one at each start.
        webhook_sources: networks that deliveries come from; empty: from anywhere.
        long_answers: several messages, or quotes that are folded until opened.
        inline: people may use the bot in any chat by its name.
    """

    token: SecretStr = NO_SECRET
    api_url: HttpUrl = "https://api.telegram.org"
    webhook_url: OptionalWebhookUrl = ""
    webhook_secret: SecretStr = NO_SECRET
    webhook_sources: tuple[Subnet, ...] = ("149.154.160.0/20", "91.108.4.0/22")
    long_answers: Annotated[Literal["messages", "quote"], BeforeValidator(_lower_case)] = "messages"
    inline: bool = False

    @field_validator("webhook_secret")
    @classmethod
    def _telegram_takes_it(cls, secret: SecretStr) -> SecretStr:
        # Bot API, setWebhook: "1-256 characters. Only A-Z, a-z, 0-9, _ and - are allowed."
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret.get_secret_value()):
            raise ValueError("may hold 256 characters at most, of A-Z, a-z, 0-9, _ and -")
        return secret


class HttpSection(Section):
    """`[http]`: web chat, `/healthz`, `/readyz` and `/metrics`.

    Attributes:
        enabled: whether to serve them at all.
        host: name or address to listen on.
        port: 0 to 65535; 0 for any free port.
        access_token: needed when `host` is not loopback.
    """

    enabled: bool = True
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    access_token: Annotated[SecretStr, Field(validate_default=True)] = NO_SECRET

    @field_validator("access_token")
    @classmethod
    def _guards_an_open_door(cls, token: SecretStr, info: ValidationInfo) -> SecretStr:
        host = info.data.get("host") or "localhost"  # a bad host is a problem of its own
        served = info.data.get("enabled", False)
        if served and not is_loopback(host) and not token.get_secret_value():
            raise ValueError(f"must be set, because host {host!r} is open to other machines")
        return token


class HistorySection(Section):
    """`[history]`.

    Attributes:
        messages: sent with a question at most; 0 means no history.
        retention_days: how long messages and pictures are kept; 0 means forever.
    """

    messages: Limit = 20
    retention_days: Limit = 90


class LimitsSection(Section):
    """`[limits]`; 0 means no limit.

    Attributes:
        turns_per_minute: requests of one person.
        images_per_day: drawings of one person.
        queued_turns: unfinished requests of one person.
        images_per_day_total: drawings of all people together, to spare the Space's quota.
    """

    turns_per_minute: Limit = 6
    images_per_day: Limit = 20
    queued_turns: Limit = 3
    images_per_day_total: Limit = 0


class AccessSection(Section):
    """`[access]`: who may use the bot.

    Attributes:
        allow: only these; empty: everybody.
        deny: none of these.
    """

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()


class StorageSection(Section):
    """`[storage]`.

    Attributes:
        url: a database URL, perhaps with a password; empty: SQLite in `data_dir`.
        max_pictures_mb: size of all pictures together, in millions of bytes; 0 means no limit.
    """

    url: OptionalDatabaseUrl = NO_SECRET
    max_pictures_mb: Limit = 10_000


class LogSection(Section):
    """`[log]`.

    Attributes:
        level: the least level that is written.
        format: `auto` is `console` on a terminal and `json` elsewhere.
    """

    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower_case)
    ] = "info"
    format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower_case)] = "auto"


PREFIX = "JANUS_BOT_"
"""What the names of all environment variables begin with."""


class Config(BaseSettings):
    """The whole configuration. `Config()` is the default one; `load` reads a real one."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    bot: BotSection = BotSection()
    spaces: tuple[SpaceSection, ...] = (SpaceSection(id=PUBLIC_SPACE),)
    provider: ProviderSection = ProviderSection()
    discord: DiscordSection = DiscordSection()
    telegram: TelegramSection = TelegramSection()
    http: HttpSection = HttpSection()
    history: HistorySection = HistorySection()
    limits: LimitsSection = LimitsSection()
    access: AccessSection = AccessSection()
    storage: StorageSection = StorageSection()
    log: LogSection = LogSection()

    @field_validator("spaces")
    @classmethod
    def _not_none_at_all(cls, spaces: tuple[SpaceSection, ...]) -> tuple[SpaceSection, ...]:
        if not spaces:
            raise ValueError("needs one Space at least")
        return spaces

    @field_validator("http")
    @classmethod
    def _receives_deliveries(cls, http: HttpSection, info: ValidationInfo) -> HttpSection:
        telegram = info.data.get("telegram")  # missing if it has a problem of its own
        if telegram is not None and telegram.webhook_url and not http.enabled:
            raise ValueError(
                "must be enabled, because Telegram delivers to it as [telegram] webhook_url says"
            )
        return http

    _warnings: tuple[str, ...] = PrivateAttr(())
    _unused_secrets: tuple[str, ...] = PrivateAttr(())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,  # noqa: ARG003 - same
        **named: PydanticBaseSettingsSource,  # noqa: ARG003 - same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """No hidden sources: `load` names its own."""
        return (init_settings,)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What works but was probably not intended; a sentence each, for the log."""
        return self._warnings

    def with_warnings(self, warnings: Sequence[str], unused_secrets: Sequence[str] = ()) -> Self:
        """The same configuration with these warnings, and secrets that it does not hold itself."""
        copy = self.model_copy()
        copy._warnings = tuple(warnings)  # noqa: SLF001 - its own class
        copy._unused_secrets = tuple(unused_secrets)  # noqa: SLF001 - likewise
        return copy

    def secrets(self) -> frozenset[str]:
        """All secret values that are set, for `bot.logs.configure` to keep out of everything."""
        return frozenset((*_secrets(self), *self._unused_secrets))


def _secrets(section: BaseModel) -> Iterator[str]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, BaseModel):
                yield from _secrets(part)
            elif isinstance(part, SecretStr):
                yield from secret_parts(part.get_secret_value())
            elif isinstance(part, str) and "://" in part:
                yield from secret_parts(part)
