"""Being connected to Ray: to a cluster that is there, or to one of our own on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..clusters import LOCAL, connect
from ..errors import ConfigError


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """Be connected to Ray, quietly; what was started here is shut down when the block ends.

    Parameters
    ----------
    address : str, optional
        As `ray.init` takes it; "local" starts Ray on this machine. By default that in the
        environment variable RAY_ADDRESS, or "local". A connection that the program has made
        already is used instead, and kept.

    Raises
    ------
    ConfigError
        If Ray is not installed, or no cluster is there.
    """
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    connect(ray, address, **({"include_dashboard": False} if address == LOCAL else {}))
    try:
        yield
    finally:
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "searching needs Ray Tune, which is not installed: pip install 'reionemu[tune]'"
        ) from None
    return ray
