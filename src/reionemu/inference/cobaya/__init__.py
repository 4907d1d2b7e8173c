"""Emulators and band powers for Cobaya (Torrado & Lewis 2021, JCAP 05, 057).

theory         ReionizationTheory: the kSZ spectrum and the history from an emulator
likelihood     KSZLikelihood: band powers, the late-time part, the constraint on tau
expected       what an emulator expects of band powers, from one to the other
input, text    the input of a run, from an emulator and data, and as YAML
choices        data and constraints by name
reporting      errors as Cobaya reports them
"""

from ..._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "KSZLikelihood": ".likelihood",
        "ReionizationTheory": ".theory",
        "cobaya_input": ".input",
        "to_yaml": ".text",
    },
)
