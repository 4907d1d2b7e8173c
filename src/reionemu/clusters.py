"""Connecting to Ray; who does so brings the module, which is heavy and optional."""

from __future__ import annotations

import logging
import socket
from typing import Any

from .errors import ConfigError

LOCAL = "local"
"""The address of a cluster of one's own on this machine."""

_CONNECT_S = 10.0


def connect(ray: Any, address: str, **options: Any) -> None:
    """Connect to a Ray cluster, quietly, or start one at `LOCAL`.

    Parameters
    ----------
    ray : module
    address : str
        As `ray.init` takes it.
    **options
        More of what `ray.init` takes.

    Raises
    ------
    ConfigError
        If no cluster is there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdecimal():  # Ray itself tries for minutes, and then exits
            socket.create_connection((host, int(port)), timeout=_CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"cannot connect to a Ray cluster at {address!r}: {error}. Start one with `ray start "
            f'--head`, or give "{LOCAL}"'
        ) from None
