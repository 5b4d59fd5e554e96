"""Names that a package hands on from its modules, each imported when it is first used (SPEC 1, PEP 562)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from showtell.errors import MissingExtraError


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    homes: each public name, and the module that defines it.

    Using a name raises `MissingExtraError` where its module needs a library that is not installed.
    """

    def fetch(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f'{package}.{name} needs {error.name}, which is not installed: pip install "showtell[torch]".'
            ) from error

    return fetch, lambda: sorted(homes)
