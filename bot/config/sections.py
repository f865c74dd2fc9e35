"""The sections of the configuration: names, types, defaults and what each value may be.

Whatever is a secret, or can hold one, is a `SecretStr`: it shows neither in `repr` nor in errors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bot.config.checks import (
    Admin,
    HttpUrl,
    Language,
    Limit,
    OptionalDatabaseUrl,
    OptionalHttpUrl,
    OptionalProxy,
    OptionalSocketUrl,
    OptionalSpaceId,
    OptionalWebhookUrl,
    Rule,
    Subnet,
    is_hugging_face,
    is_loopback,
    lower_case,
)

PUBLIC_SPACE = "deepseek-ai/Janus-Pro-7B"

NO_SECRET = SecretStr("")


class Section(BaseModel):
    """What all sections share: unknown keys are errors and nothing changes afterwards."""

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
    """

    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Path("data")
    language: Language = "en"
    system_prompt: str = ""
    admins: tuple[Admin, ...] = ()


class SpaceSection(Section):
    """One of `[[spaces]]`; exactly one of `id` and `url` is not empty.

    Attributes:
        id: a Space on Hugging Face, `owner/name`.
        url: the root of any Gradio server with the same functions.
        hf_token: for Hugging Face; empty once loaded if the Space is not there.
        concurrency: requests at the same time; 0 means no limit.
    """

    id: OptionalSpaceId = ""
    url: OptionalHttpUrl = ""
    hf_token: SecretStr = NO_SECRET
    concurrency: Limit = 2

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.id) == bool(self.url):
            raise ValueError("needs either an id or a url" + (", not both" if self.id else ""))
        return self

    @property
    def on_hugging_face(self) -> bool:
        """Whether requests go to Hugging Face's hosts, and encrypted."""
        return bool(self.id) or is_hugging_face(self.url)


class ProviderSection(Section):
    """`[provider]`.

    Attributes:
        proxy: `http://`, `https://` or `socks5://`, perhaps with a password; empty for none.
        timeout: seconds for one generation, queue time not included; 0 means no limit.
        quota_wait: seconds that a request may wait for a used up quota; 0 means no limit.
    """

    proxy: OptionalProxy = NO_SECRET
    timeout: Annotated[FiniteFloat, Field(ge=0)] = 300.0
    quota_wait: Annotated[FiniteFloat, Field(ge=0)] = 3600.0


class DiscordSection(Section):
    """`[discord]`.

    Attributes:
        token: the bot's token; empty: no Discord.
        api_url: REST root, without a trailing slash.
        gateway_url: empty: the one that Discord names.
        guild_ids: sync commands to these guilds at once; empty: globally.
        shards: connections over which the bot's servers are spread; 0: as many as Discord advises.
        shard_ids: those of them that this process makes; empty: all.
        spoiler: pictures are covered until somebody wants to see them.
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
    picture_format: Annotated[Literal["webp", "png"], BeforeValidator(lower_case)] = "webp"

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
        webhook_secret: what Telegram must say with every delivery; empty: made up at each start.
        webhook_sources: networks that deliveries come from; empty: from anywhere.
        long_answers: several messages, or quotes that are folded until somebody opens them.
        inline: people may use the bot in any chat by its name.
    """

    token: SecretStr = NO_SECRET
    api_url: HttpUrl = "https://api.telegram.org"
    webhook_url: OptionalWebhookUrl = ""
    webhook_secret: SecretStr = NO_SECRET
    webhook_sources: tuple[Subnet, ...] = ("149.154.160.0/20", "91.108.4.0/22")
    long_answers: Annotated[Literal["messages", "quote"], BeforeValidator(lower_case)] = "messages"
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
        retention_days: how long messages and pictures are kept; 0 means for ever.
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
        max_pictures_mb: millions of bytes that all pictures may have; 0 means no limit.
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
        Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lower_case)
    ] = "info"
    format: Annotated[Literal["auto", "console", "json"], BeforeValidator(lower_case)] = "auto"
