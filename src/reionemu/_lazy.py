"""Packages whose names are imported when they are first used (PEP 562).

`import reionemu` must not load torch or h5py: predicting, printing help and reading a record do
not need them, and they take seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def attach(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable, list[str]]:
    """`__getattr__`, `__dir__` and `__all__` for a package.

    Parameters
    ----------
    package : str
        The package's `__name__`.
    names : mapping
        Public name -> module, relative to the package, that defines it. These modules, too, are
        attributes: `import reionemu` is enough to write `reionemu.training.fit`.
    """
    modules = frozenset(names.values())

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name in names:
            return getattr(import_module(names[name], package), name)
        if f".{name}" in modules:
            return import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:  # noqa: N807
        return sorted(names)

    return __getattr__, __dir__, sorted(names)
