"""The configuration: a TOML file with environment variables on top, read once, never changed.

Every key, its default and what it does stand in `config.example.toml`. An environment variable is
called `JANUS_BOT_` + section + `__` + key, and wins over the file; a list is written as JSON.
"""

from bot.config.loading import DEFAULT_FILE, load
from bot.config.schema import Config, SpaceSection

__all__ = ["DEFAULT_FILE", "Config", "SpaceSection", "load"]
