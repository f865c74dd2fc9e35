"""Every sentence that a person reads, in every language that the bot speaks.

One folder per language holds Fluent files (https://projectfluent.org): `core` for what is said on
all platforms, and one file per platform. Plural forms are those of Unicode's CLDR.
"""

from __future__ import annotations

from bot.i18n.catalogue import Catalogue, Words
from bot.i18n.markdown import code, literal

__all__ = ["Catalogue", "Words", "code", "literal"]
