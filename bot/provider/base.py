"""What every provider has, whichever server is behind it."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from types import MethodType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar

from bot.errors import BadInput
from bot.provider.responses import Response

P = ParamSpec("P")
R = TypeVar("R")


class AsyncGeneratorProvider(ABC):
    """Answers requests as asynchronous generators of `Response`.

    Attributes:
        label: name for people.
        url: page for people.
        working: whether it can be used at all.
        supports_stream: text comes piece by piece where the server sends it so.
        supports_system_message: messages of the role `system` are heeded.
        supports_message_history: messages before the last one are heeded.
    """

    label: str = ""
    url: str = ""
    working: bool = False
    supports_stream: bool = False
    supports_system_message: bool = False
    supports_message_history: bool = False

    @abstractmethod
    def create_async_generator(
        self, model: str, messages: Sequence[Any] = (), **options: Any
    ) -> AsyncGenerator[Response, None]:
        """Yield responses until the answer is complete.

        Args:
            model: one of the provider's models.
            messages: the conversation, oldest first.
            options: see the provider.

        Raises:
            BotError: from the generator; there was no answer.

        Cancelling: closing the generator early gives up the request and all that it held.
        """


class ProviderModelMixin:
    """The models of a provider.

    Attributes:
        default_model: for questions.
        default_image_model: for pictures to be made.
        default_vision_model: for questions about a picture.
        image_models: models that make pictures.
        vision_models: models that look at pictures.
        models: all of them.
    """

    default_model: str = ""
    default_image_model: str = ""
    default_vision_model: str = ""
    image_models: ClassVar[list[str]] = []
    vision_models: ClassVar[list[str]] = []
    models: ClassVar[list[str]] = []

    @classmethod
    def get_model(cls, model: str) -> str:
        """`model` if there is such a one, and the default for `""`.

        Raises:
            BadInput: there is no such model.
        """
        if not model:
            return cls.default_model
        if model not in cls.models:
            raise BadInput(f"There is no model {model!r} here; there are {', '.join(cls.models)}.")
        return model


class on_class_or_instance(Generic[P, R]):  # noqa: N801 - a decorator, named like one
    """A method that may be called on the class too, and then acts on an instance with defaults."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: Callable[[], Any]) -> Callable[P, R]:
        """Bind to the instance; or, on the class, to one that is made when the method is called."""
        if instance is not None:
            return MethodType(self._function, instance)

        @functools.wraps(self._function)
        def on_default(*args: P.args, **kwargs: P.kwargs) -> R:
            return self._function(owner(), *args, **kwargs)

        return on_default
