"""reionemu cobaya"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import AlreadyExistsError, ConfigError
from .inference_options import (
    LateTimeOption,
    MeasurementOption,
    PriorOption,
    TauOption,
    parse_pair,
    parse_priors,
    parse_tau,
)
from .output import say, short


def cobaya(
    artifact: Annotated[Path, typer.Argument(help="Folder of an emulator's artifact.")],
    data: Annotated[Path | None, typer.Option(help="Band powers: a CSV or YAML file.")] = None,
    measurement: MeasurementOption = None,
    tau: TauOption = None,
    late_time: LateTimeOption = None,
    prior: PriorOption = None,
    chains: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="Of files that Cobaya is to write.  [default: chains/ARTIFACT-DATA]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of Cobaya's chain.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="YAML file to write.  [default: printed]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
) -> None:
    """Write the input of a run of Cobaya: the emulator, band powers, priors and a sampler.

    Give band powers by --data or --measurement. The likelihood is that of `reionemu infer`.
    """
    from ..files import write_bytes
    from ..inference.cobaya import cobaya_input, to_yaml

    if (data is None) == (measurement is None):
        raise ConfigError("give one of --data FILE and --measurement NAME")
    if out is not None and out.exists() and not overwrite:
        raise AlreadyExistsError(
            f"{out} is there already; give another name (--out), or replace it (--overwrite)"
        )
    info = cobaya_input(
        artifact,
        data=data,
        measurement=measurement,
        tau=parse_tau(tau),
        late_time=None if late_time is None else parse_pair("--late-time", late_time),
        priors=parse_priors(prior or []),
        output=chains,
        seed=seed,
    )
    if out is None:
        sys.stdout.write(to_yaml(info))
        return
    write_bytes(out, to_yaml(info, file=out.name).encode())
    say(f"wrote {short(out)}; now: cobaya-run {short(out)}")
