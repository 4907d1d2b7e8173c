"""Where a simulation runs."""

from __future__ import annotations

import torch

from ..devices import require_available, resolve_device


def usable_device(name: str | torch.device) -> torch.device:
    """The device of that name, known to be there; ConfigError if it is not.

    "auto" takes a GPU if there is one, but not Apple's, which lacks complex transforms.
    """
    device = resolve_device(name)
    if name == "auto" and device.type == "mps":
        return torch.device("cpu")
    require_available(device)
    return device
