"""Names of devices."""

from __future__ import annotations

import torch

from .errors import ConfigError


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The device of that name; "auto" is the first of CUDA, Apple's MPS and the CPU that is there.

    Raises ConfigError for a name that PyTorch does not know.
    """
    if isinstance(device, torch.device):
        return device
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError):
        raise ConfigError(
            f'{device!r} is not a device; use "auto", "cpu", "cuda", "cuda:1" or "mps"'
        ) from None


def require_available(device: torch.device) -> None:
    """Raise ConfigError if there is no such device on this machine."""
    try:
        torch.empty(1, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f'the device {str(device)!r} cannot be used here ({reason}); use "auto" or "cpu"'
        ) from None
