"""The configuration: what it accepts, and how it names what it does not."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import Config, load
from bot.config.loading import line_of
from bot.errors import ConfigError

EXAMPLE = Path(__file__).parent.parent / "config.example.toml"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a configuration file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "janus.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path: Path | None, environ: dict[str, str] | None = None) -> list[str]:
    """The lines of the error that loading ends in, without the folder of the file."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ or {})
    folder = f"{path.parent}/" if path else ""
    return str(caught.value).replace(folder, "").splitlines()


def keys_of(table: dict[str, Any]) -> dict[str, set[str]]:
    """Section names with their keys; all `[[spaces]]` count as one section."""
    return {
        name: {key for entry in (value if isinstance(value, list) else [value]) for key in entry}
        for name, value in table.items()
    }


def uncommented(text: str) -> str:
    """The example with the keys that it shows as comments."""
    return re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


def test_example_holds_the_defaults() -> None:
    """The example file changes nothing: each value in it is the default."""
    assert load(EXAMPLE, {}) == Config()


def test_example_shows_every_key_and_no_other() -> None:
    """The example names exactly the keys that the program knows."""
    default = json.loads(Config().model_dump_json())
    assert keys_of(tomllib.loads(uncommented(EXAMPLE.read_text()))) == keys_of(default)


def test_example_shows_defaults_in_comments_too() -> None:
    """A key that is shown as a comment is shown with its default, or as an alternative."""
    shown = tomllib.loads(uncommented(EXAMPLE.read_text()))["spaces"][0]
    assert (shown["hf_token"], shown["concurrency"]) == ("", Config().spaces[0].concurrency)


def test_contract() -> None:
    """Names and defaults that other people's files rely on."""
    config = json.loads(Config().model_dump_json())
    assert config["spaces"][0]["id"] == "deepseek-ai/Janus-Pro-7B"
    del config["spaces"]
    contract: dict[str, dict[str, object]] = {
        "bot": {"data_dir": "data", "language": "en", "system_prompt": "", "admins": []},
        "provider": {"proxy": "", "timeout": 300.0},
        "discord": {
            "token": "",
            "api_url": "https://discord.com/api/v10",
            "gateway_url": "",
            "guild_ids": [],
        },
        "telegram": {
            "token": "",
            "api_url": "https://api.telegram.org",
            "webhook_url": "",
            "webhook_secret": "",
        },
        "http": {"enabled": True, "host": "127.0.0.1", "port": 8080, "access_token": ""},
        "history": {"messages": 20, "retention_days": 90},
        "limits": {"turns_per_minute": 6, "images_per_day": 20, "queued_turns": 3},
        "storage": {"url": "", "max_pictures_mb": 10_000},
        "log": {"level": "info", "format": "auto"},
    }
    for section, keys in contract.items():
        assert {name: config[section][name] for name in keys} == keys


def test_no_file_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file the defaults hold, and ./config.toml is read once it is there."""
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == Config()
    Path("config.toml").write_text("[http]\nport = 1\n")
    assert load(None, {}).http.port == 1


def test_named_file_must_exist(tmp_path: Path) -> None:
    """A file that was asked for by name and is not there is an error."""
    assert "no configuration file" in problems(tmp_path / "none.toml")[0]


def test_folder_is_no_file(tmp_path: Path) -> None:
    """What cannot be read is an error that says why."""
    assert "cannot be read: Is a directory" in problems(tmp_path)[0]


def test_not_utf_8(tmp_path: Path) -> None:
    """A file in another encoding is an error that names the line."""
    path = tmp_path / "latin.toml"
    path.write_bytes(b"[bot]\nsystem_prompt = '\xe4'\n")
    assert problems(path) == ["latin.toml:2: the file is not UTF-8 text"]


def test_byte_order_mark(write: Any) -> None:
    """A byte order mark, as some editors write it, does no harm."""
    assert load(write("\ufeff[http]\nport = 1\n"), {}).http.port == 1


def test_process_environment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the environment that is given counts."""
    monkeypatch.setenv("JANUS_BOT_HTTP__PORT", "1")
    assert load(None, {}).http.port == Config().http.port == 8080


def test_environment_wins(write: Any) -> None:
    """A variable replaces one key of a section and leaves the others to the file."""
    path = write('[http]\nport = 1\nhost = "::1"\n')
    http = load(path, {"JANUS_BOT_HTTP__PORT": "2"}).http
    assert (http.port, http.host) == (2, "::1")


def test_lists_in_the_environment_are_json() -> None:
    """Lists and whole sections come as JSON; ids as integers or strings."""
    config = load(
        None,
        {
            "JANUS_BOT_BOT__ADMINS": '["discord:1", "telegram:2"]',
            "JANUS_BOT_DISCORD__GUILD_IDS": '[1, "2"]',
            "JANUS_BOT_SPACES": '[{"url": "http://127.0.0.1:7860/"}, {"id": "me/mine"}]',
            "JANUS_BOT_LIMITS": '{"queued_turns": 0}',
        },
    )
    assert config.bot.admins == ("discord:1", "telegram:2")
    assert config.discord.guild_ids == (1, 2)
    assert [space.id or space.url for space in config.spaces] == [
        "http://127.0.0.1:7860",
        "me/mine",
    ]
    assert config.limits.queued_turns == 0


def test_empty_variable_empties_the_key(write: Any) -> None:
    """An empty variable switches an adapter off that the file switches on."""
    path = write('[telegram]\ntoken = "1:a"\n')
    config = load(path, {"JANUS_BOT_TELEGRAM__TOKEN": ""})
    assert config.telegram.token.get_secret_value() == ""


def test_all_problems_at_once_each_with_its_line(write: Any) -> None:
    """Every problem is told in one go, with file, line and key."""
    path = write(
        """\
[telegram]
# token = "commented out"
token = 12
tokn = "x"

[http]
port = 70000

[[spaces]]
id = "a/b"
[[spaces]]
url = "ftp://example"

[nonsense]
a = 1
"""
    )
    assert sorted(problems(path)) == [
        "janus.toml:12: [[spaces]] no. 2, url: must be a URL that begins with http:// or https://",
        f"janus.toml:14: [nonsense]: unknown key; known are {', '.join(Config.model_fields)}",
        "janus.toml:3: [telegram] token: must be a valid string",
        "janus.toml:4: [telegram] tokn: unknown key; did you mean 'token'?",
        "janus.toml:7: [http] port: must be less than or equal to 65535",
    ]


def test_inline_tables_and_dotted_keys_have_lines(write: Any) -> None:
    """Lines are found however the value is written."""
    path = write(
        'log.level = "loud"\n'
        'spaces = [\n  { id = "a/b" },\n  { id = "c/d", concurrency = -1 },\n]\n'
        "limits = { queued_turns = -1 }\n"
    )
    lines = {re.sub(r"^\S+:(\d+): (\S+).*", r"\1 \2", problem) for problem in problems(path)}
    assert lines == {"1 [log]", "4 [[spaces]]", "6 [limits]"}


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("[bot]\nlanguage = \n", "janus.toml:2: this is not TOML"),
        ("[bot]\n[bot]\n", "janus.toml:2: this is not TOML"),
        ("[bot]\nadmins = [\n", "janus.toml, at its end: this is not TOML"),
    ],
)
def test_syntax_errors_name_the_line(write: Any, text: str, start: str) -> None:
    """What is not TOML is told with its line."""
    [problem] = problems(write(text))
    assert problem.startswith(start)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JANUS_BOT_HTTP__PORT", "many", "valid integer"),
        ("JANUS_BOT_HTTP__PROT", "1", "did you mean 'port'?"),
        ("JANUS_BOT_BOT__ADMINS", "discord:1", "must be a JSON list"),
        ("JANUS_BOT_BOT__ADMINS", '["1"]', '"discord:123"'),
        ("JANUS_BOT_LOG", "debug", "JANUS_BOT_LOG__KEY"),
        ("JANUS_BOT_SPACES", "[]", "one Space at least"),
        ("JANUS_BOT_SPACES__0__URL", "http://h", "must be a JSON list"),
        ("JANUS_BOT_TELEGRAM_TOKEN", "1:a", "did you mean JANUS_BOT_TELEGRAM__TOKEN?"),
        ("JANUS_BOT_TELEGRAMM__TOKEN", "1:a", "unknown section"),
    ],
)
def test_environment_problems_name_the_variable(name: str, value: str, said: str) -> None:
    """A problem that comes from the environment begins with the variable."""
    [problem] = problems(None, {name: value})
    assert problem.startswith(f"{name}: ")
    assert said in problem


def test_variables_of_the_platform_only_warn() -> None:
    """What a container platform adds by itself does not keep the bot from starting."""
    [warning] = load(None, {"JANUS_BOT_SERVICE_HOST": "10.0.0.1"}).warnings
    assert "JANUS_BOT_SERVICE_HOST" in warning


def test_webhook_needs_the_http_server(write: Any) -> None:
    """Telegram delivers to it; each other combination works."""
    hook = 'webhook_url = "https://example.org/telegram"\n'
    path = write(f"[telegram]\n{hook}[http]\nenabled = false\n")
    [problem] = problems(path)
    assert problem.startswith("janus.toml:3: [http]: must be enabled, because Telegram delivers")
    assert load(write(f"[telegram]\n{hook}"), {}).telegram.webhook_url
    assert not load(write("[http]\nenabled = false\n"), {}).http.enabled


@pytest.mark.parametrize(
    ("section", "line", "key"),
    [
        ("provider", 'proxy = "socks4://HUSH@h:1"', "proxy"),
        ("provider", 'proxy = "http://HUSH@[::1"', "proxy"),
        ("provider", "timeout = -1", "timeout"),
        ("provider", "timeout = nan", "timeout"),
        ("telegram", 'api_url = ""', "api_url"),
        ("telegram", 'api_url = "https://HUSH@h:99999"', "api_url"),
        ("telegram", 'webhook_url = "example.org"', "webhook_url"),
        ("telegram", 'webhook_url = "https://example.org/api/HUSH"', "webhook_url"),
        ("telegram", 'webhook_url = "https://example.org/login/"', "webhook_url"),
        ("telegram", 'webhook_secret = "HUSH!"', "webhook_secret"),
        ("telegram", 'webhook_sources = ["HUSH"]', "webhook_sources"),
        ("telegram", 'long_answers = "HUSH"', "long_answers"),
        ("discord", 'gateway_url = "https://gateway"', "gateway_url"),
        ("discord", "guild_ids = 5", "guild_ids"),
        ("discord", "token = [1, 2]", "token"),
        ("history", "messages = -1", "messages"),
        ("limits", "turns_per_minute = 1.5", "turns_per_minute"),
        ("storage", 'url = "HUSH"', "url"),
        ("storage", 'url = "postgresql://u:HUSH@[h/d"', "url"),
        ("bot", 'language = "not a language"', "language"),
        ("http", 'host = ""', "host"),
    ],
)
def test_values_that_cannot_work(write: Any, section: str, line: str, key: str) -> None:
    """A bad value is refused with its line and key, and is not repeated: it may be a secret."""
    [problem] = problems(write(f"[{section}]\n{line}\n"))
    assert problem.startswith(f"janus.toml:2: [{section}] {key}: ")
    assert "HUSH" not in problem


def test_limits_take_zero_and_any_large_number(write: Any) -> None:
    """0 means no limit, and no number is too large."""
    path = write(f"[limits]\nturns_per_minute = 0\nimages_per_day = {10**18}\n")
    limits = load(path, {}).limits
    assert (limits.turns_per_minute, limits.images_per_day) == (0, 10**18)


def test_trailing_slashes_and_spaces_are_tolerated(write: Any) -> None:
    """What people paste around a value does no harm."""
    path = write('[telegram]\napi_url = "http://h:1/x/"\ntoken = " 1:a\\n"\n')
    telegram = load(path, {}).telegram
    assert (telegram.api_url, telegram.token.get_secret_value()) == ("http://h:1/x", "1:a")


@pytest.mark.parametrize("space", ["", 'id = "a/b"\nurl = "http://h"'])
def test_space_has_an_id_or_a_url(write: Any, space: str) -> None:
    """A Space that is named twice, or not at all, is an error."""
    [problem] = problems(write(f"[[spaces]]\n{space}\n"))
    assert problem.startswith("janus.toml:1: [[spaces]] no. 1: needs an id, a url or a model")


@pytest.mark.parametrize(
    ("space", "kept"),
    [
        ('id = "a/b"', True),
        ('url = "https://a-b.hf.space"', True),
        ('url = "https://huggingface.co/spaces/a/b"', True),
        ('url = "http://a-b.hf.space"', False),
        ('url = "https://a-b.hf.space:8443"', False),
        ('url = "https://a-b.hf.co"', False),
        ('url = "https://me@a-b.hf.space"', False),
        ('url = "https://hf.space.example.org"', False),
        ('url = "https://nothf.space"', False),
        ('url = "http://127.0.0.1:7860"', False),
    ],
)
def test_hf_token_goes_to_hugging_face_only(write: Any, space: str, kept: bool) -> None:
    """Beside another server's address the token is dropped, with a warning that hides it."""
    config = load(write(f'[[spaces]]\n{space}\nhf_token = "hf_HUSH"\n'), {})
    assert bool(config.spaces[0].hf_token.get_secret_value()) is kept
    assert ["hf_token is ignored" in warning for warning in config.warnings] == [True] * (not kept)
    assert "HUSH" not in " ".join(config.warnings)


@pytest.mark.parametrize(
    ("space", "why"),
    [
        ('url = "http://127.0.0.1:7860"', ""),
        ('url = "https://a-b.hf.space"', ""),
        ('url = "https://a-b.hf.space"\nhf_token = "hf_x"', "there is an hf_token"),
        ('id = "a/b"', "know hf_token"),
        ('model = "auto"', "starts this Space itself"),
    ],
)
def test_access_token_goes_to_an_address_only(write: Any, space: str, why: str) -> None:
    """Where nothing asks for it, it is dropped, with a warning that hides it."""
    config = load(write(f'[[spaces]]\n{space}\naccess_token = "HUSH"\n'), {})
    assert bool(config.spaces[0].access_token.get_secret_value()) is not bool(why)
    assert [why in warning for warning in config.warnings] == [True] * bool(why)
    assert "HUSH" not in " ".join(config.warnings)


def test_hf_token_is_not_for_a_space_of_ones_own(write: Any) -> None:
    config = load(write('[[spaces]]\nmodel = "auto"\nhf_token = "hf_HUSH"\n'), {})
    assert not config.spaces[0].hf_token.get_secret_value()
    assert "hf_token is ignored" in config.warnings[0]


@pytest.mark.parametrize("model", ["auto", "1b", "7b", "deepseek-community/Janus-Pro-1B", "~/a b"])
def test_a_space_can_be_a_model(write: Any, model: str) -> None:
    """From the file and from the environment."""
    assert load(write(f'[[spaces]]\nmodel = "{model}"\n'), {}).spaces[0].model == model
    variables = {"JANUS_BOT_SPACES": json.dumps([{"model": model}])}
    assert load(write(""), variables).spaces[0].model == model


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ('id = "a/b"\nmodel = "auto"', "not id and model"),
        ('url = "http://h"\nmodel = "auto"', "not url and model"),
        ('model = "--host=0.0.0.0"', "model: must be"),
        ('model = "a\\nb"', "model: must be"),
    ],
)
def test_a_space_is_one_of_three(write: Any, space: str, says: str) -> None:
    [problem] = problems(write(f"[[spaces]]\n{space}\n"))
    assert says in problem


def test_open_port_needs_an_access_token(write: Any) -> None:
    """A port that other machines reach is guarded, unless nothing is served."""
    [problem] = problems(write('[http]\nport = 1\nhost = "0.0.0.0"\n'))
    assert problem.startswith("janus.toml:1: [http] access_token: must be set")
    guarded = load(write('[http]\nhost = "0.0.0.0"\naccess_token = "abcd"\n'), {})
    assert guarded.http.host == "0.0.0.0"
    assert not load(write('[http]\nhost = "0.0.0.0"\nenabled = false\n'), {}).http.enabled


def test_secrets_show_nowhere(write: Any) -> None:
    """Neither `repr` nor a dump shows a secret, and `secrets` lists all of them."""
    path = write(
        '[telegram]\ntoken = "1:HUSH1"\nwebhook_secret = "HUSH2"\n'
        '[discord]\ntoken = "HUSH3"\n[http]\naccess_token = "HUSH4"\n'
        '[provider]\nproxy = "http://u:HUSH%205@h"\n[storage]\nurl = "postgresql://u:HUSH6@h/d"\n'
        '[[spaces]]\nid = "a/b"\nhf_token = "HUSH7"\n'
        '[[spaces]]\nurl = "http://h"\naccess_token = "HUSH8"\n'
    )
    config = load(path, {})
    shown = f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}"
    assert "HUSH" not in shown
    assert config.secrets() == {
        "1:HUSH1",
        "HUSH2",
        "HUSH3",
        "HUSH4",
        "http://u:HUSH%205@h",
        "HUSH%205",
        "HUSH 5",
        "postgresql://u:HUSH6@h/d",
        "HUSH6",
        "HUSH7",
        "HUSH8",
    }


def test_addresses_without_a_password_are_no_secrets(write: Any) -> None:
    """A plain proxy address may stand in the logs."""
    assert load(write('[provider]\nproxy = "http://127.0.0.1:3128"\n'), {}).secrets() == set()


def test_errors_carry_no_foreign_error_along(write: Any) -> None:
    """Nothing that a traceback prints beside the error holds the values."""
    with pytest.raises(ConfigError) as caught:
        load(write('[http]\nport = "HUSH"\n'), {"JANUS_BOT_DISCORD__GUILD_IDS": "HUSH"})
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
    assert "HUSH" not in str(caught.value)


def test_nothing_changes_afterwards() -> None:
    """The configuration is frozen, sections included."""
    with pytest.raises(ValueError, match="frozen"):
        Config().http.port = 1


NASTY = 'a = """\n[b]\nb = 1\n"""\n"c d".e = [\n  "x = 1", # ]\n  "[b]",\n]\n[b] # "\n\'c\' = 2\n'


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("a",), 1),
        (("c d", "e"), 5),
        (("c d", "e", 1), 5),
        (("b",), 9),
        (("b", "c"), 10),
        (("b", "missing"), 9),
        (("nowhere",), None),
    ],
)
def test_lines_in_nasty_toml(place: tuple[str | int, ...], line: int | None) -> None:
    """Strings, comments and lists that look like keys and headers lead nobody astray."""
    tomllib.loads(NASTY)
    assert line_of(NASTY, place) == line


KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
NOISE = st.sampled_from(
    ["", "# x = 1", '"[x]"', "'''\n[x]\nx = 1\n'''", '"""\n\\"""\nx = 2"""', "[ # ]\n 1,\n]"]
)


TABLES = st.dictionaries(
    KEYS, st.dictionaries(KEYS, NOISE, min_size=1, max_size=4), min_size=1, max_size=4
)


@settings(deadline=None)  # a busy machine is no failure
@given(TABLES, st.booleans())
def test_each_key_is_found_on_its_own_line(tables: dict[str, dict[str, str]], many: bool) -> None:
    """Whatever values surround a key, its line is the one that it was written on."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for name, table in tables.items():
        lines.append(f"[[{name}]]" if many else f"[{name}]")
        for key, noise in table.items():
            place = (name, 0, key) if many else (name, key)
            expected[place] = len(lines) + 1
            value = noise if noise and not noise.startswith("#") else f"1 {noise}"
            lines += f"{key} = {value}".split("\n")
    text = "\n".join(lines)
    tomllib.loads(text)
    assert {place: line_of(text, place) for place in expected} == expected
