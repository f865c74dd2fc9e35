"""Everything that can go wrong on purpose, in one tree.

A failure that somebody can do something about is a `BotError`; its text is a sentence for that
person. A mistake in this program is not: it stays a `TypeError`, `AssertionError` or `ValueError`,
so that no handler for failures can hide it::

    BotError
    ├── ConfigError                the operator wrote something that cannot work; exit code 2
    ├── StorageError               the database or the folder of pictures
    │   └── SchemaTooNew           written by a newer janus-bot
    ├── AdapterError               a platform will not let this bot work at all
    │   └── TokenRefused
    ├── ImageError                 a picture that must not be sent on
    │   ├── ImageTooLarge          bytes, pixels or decompressed size
    │   └── ImageUnreadable        truncated, not a picture, or a format that the Space cannot read
    ├── ProviderError              no answer from the Space
    │   ├── SpaceUnreachable       no connection, or something in front of it answered
    │   ├── SpaceAsleep · SpaceBuilding · SpacePaused · SpaceBroken · SpaceNotFound
    │   ├── CredentialsRefused     the token is expired or mistyped
    │   ├── ModelStarting          our own Space is not up yet
    │   ├── ModelNotServed         our own Space cannot be started; trying again is pointless
    │   ├── QueueFull
    │   ├── QuotaExceeded          knows seconds requested, left, and until the next try
    │   ├── NoGpu · GpuAborted
    │   ├── BadInput               the Space refused a value, and names it
    │   ├── GenerationFailed       the Space's function raised
    │   ├── StreamLost · GenerationTimeout · GenerationCancelled
    └── SurfaceError               a reply could not be shown as asked
        ├── RateLimited            knows for how long
        ├── SurfaceUnavailable     network or 5xx: certainly not done, try again
        ├── DeliveryUnknown        sent, no answer: may or may not be there
        ├── MessageGone            a person deleted it
        ├── SurfaceForbidden       blocked, kicked, or a permission is missing
        ├── ContentRefused         the platform will never take this content
        └── PreviewUnsupported     this chat or this server has no drafts
"""

from __future__ import annotations

from bot.redaction import redacted


class BotError(Exception):
    """Root of every expected failure. `str(error)` is a sentence that may be shown to people.

    Whoever said it, it holds no secret of the configuration.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(redacted(part) if isinstance(part, str) else part for part in args))


class ConfigError(BotError):
    """The configuration cannot work. The text names the key and, for a file, the line."""


class StorageError(BotError):
    """The database or the picture folder cannot be used; the text says what to do."""


class SchemaTooNew(StorageError):
    """The database was written by a newer version of this program."""


class AdapterError(BotError):
    """A platform does not let the bot work; retrying with the same settings is pointless."""


class TokenRefused(AdapterError):
    """The platform does not accept the configured token."""


class ImageError(BotError):
    """A picture was refused before anything was uploaded."""


class ImageTooLarge(ImageError):
    """The picture has more bytes or pixels than the bot takes."""


class ImageUnreadable(ImageError):
    """The bytes are truncated, not a picture, or of a format that the Space cannot read."""


class ProviderError(BotError):
    """The Space gave no answer.

    Attributes:
        retry_after: seconds after which the same request may work, if the Space said so.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SpaceUnreachable(ProviderError):
    """No connection to the Space, or a proxy in front of it answered in its place."""


class SpaceAsleep(ProviderError):
    """The Space sleeps and did not wake in time."""


class SpaceBuilding(ProviderError):
    """The Space is being built or started."""


class SpacePaused(ProviderError):
    """Its author paused the Space."""


class SpaceBroken(ProviderError):
    """The Space is up in name only: build error, runtime error, or without the two functions."""


class SpaceNotFound(ProviderError):
    """There is no such Space, or it is private and the token does not open it."""


class CredentialsRefused(ProviderError):
    """The token for the Space is expired or mistyped; the text names the key to change."""


class ModelStarting(ProviderError):
    """The Space that the bot starts itself is not up yet, or not up again."""


class ModelNotServed(ProviderError):
    """The Space that the bot starts itself cannot run here; the text says why, for the operator."""


class QueueFull(ProviderError):
    """The Space takes no more requests for now."""


class QuotaExceeded(ProviderError):
    """The GPU quota of this account or address is used up.

    Attributes:
        requested: GPU seconds that the call asked for, if said.
        left: GPU seconds that were left, if said.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        requested: int | None = None,
        left: int | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.requested = requested
        self.left = left


class NoGpu(ProviderError):
    """No GPU became free in time."""


class GpuAborted(ProviderError):
    """The GPU task was killed, for example because it ran over its duration."""


class BadInput(ProviderError):
    """The Space refused a value; the text names it."""


class GenerationFailed(ProviderError):
    """The Space's function raised; the text is what it said, if it said anything."""


class StreamLost(ProviderError):
    """The event stream ended before the answer; Gradio cannot resume it."""


class GenerationTimeout(ProviderError):
    """The generation took longer than allowed, queue time not included."""


class GenerationCancelled(ProviderError):
    """The Space reported the request as cancelled."""


class SurfaceError(BotError):
    """A reply could not be shown as asked."""


class RateLimited(SurfaceError):
    """The platform asks this chat to wait.

    Attributes:
        retry_after: seconds to stay silent in this chat.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"The platform asks to wait {retry_after:g} s.")
        self.retry_after = retry_after


class SurfaceUnavailable(SurfaceError):
    """Network trouble or a 5xx: certainly not done, worth another try."""


class DeliveryUnknown(SurfaceError):
    """The request left and no answer came: the message may or may not be there."""


class MessageGone(SurfaceError):
    """The message to edit does not exist any more: a person deleted it."""


class SurfaceForbidden(SurfaceError):
    """The bot may not write here.

    Attributes:
        key: of the sentence in the catalogue that tells people why; empty if there is none.
    """

    def __init__(self, text: str, key: str = "") -> None:
        super().__init__(text)
        self.key = key


class ContentRefused(SurfaceError):
    """The platform refuses this content for good."""


class PreviewUnsupported(SurfaceError):
    """No drafts in this chat or on this server."""
