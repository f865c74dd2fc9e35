"""Methods that may be called on a class as well as on an instance of it."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")


class on_class_or_instance(Generic[_P, _R]):  # noqa: N801 - a decorator, named like one
    """A method that may be called on the class too, and then acts on an instance with defaults."""

    def __init__(self, function: Callable[Concatenate[Any, _P], _R]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, owner: Any) -> Callable[_P, _R]:
        return MethodType(self._function, owner.default() if instance is None else instance)
