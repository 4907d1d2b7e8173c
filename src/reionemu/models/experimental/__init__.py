"""Architectures tried on the way, kept so that their weights can be read."""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "POCEmulatorFourParamsV1": ".variants",
        "POCEmulatorFourParamsV2": ".variants",
        "POCEmulatorFourParamsV3": ".variants",
        "POCEmulatorThreeParams": ".variants",
    },
)
