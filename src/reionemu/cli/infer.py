"""reionemu infer"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import nearest
from ..errors import ConfigError
from .inference_options import (
    LateTimeOption,
    MeasurementOption,
    PriorOption,
    TauOption,
    parse_pair,
    parse_priors,
    parse_tau,
)
from .output import JsonOption, print_json, progress_line, say, short
from .posteriors import as_document, print_posterior, warnings_about

if TYPE_CHECKING:
    from ..artifact.read import Artifact
    from ..inference.band_powers import BandPowers
    from ..inference.mock import Truth
    from ..inference.posterior import Posterior

_ERRORS = 0.1


def infer(
    artifact: Annotated[Path, typer.Argument(help="Folder of an emulator's artifact.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Band powers: a CSV or YAML file, or the artifact of a posterior."),
    ] = None,
    measurement: MeasurementOption = None,
    mock: Annotated[
        str | None,
        typer.Option(
            metavar="SIM",
            help="A simulation to take for the sky: its name, or its row in the training arrays.",
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(metavar="H5", help="File that --mock is in.  [default: that of the emulator]"),
    ] = None,
    errors: Annotated[
        str | None,
        typer.Option(help="Of each band power of --mock: 10% or 0.1.  [default: 10%]"),
    ] = None,
    noise_seed: Annotated[
        int | None,
        typer.Option(help="Add noise to --mock, drawn with this seed.  [default: no noise]"),
    ] = None,
    tau: TauOption = None,
    late_time: LateTimeOption = None,
    prior: PriorOption = None,
    sampler: Annotated[
        str, typer.Option(help="emcee, nuts (by gradients) or nested (gives the evidence).")
    ] = "emcee",
    walkers: Annotated[int | None, typer.Option(help="How many, for emcee.  [default: 32]")] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="For emcee: exactly so many.  [default: until converged]"),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option(help="For emcee: stop there if it has not converged.  [default: 50000]"),
    ] = None,
    target_ess: Annotated[
        int | None,
        typer.Option(
            help="Effective samples to go on for.  [default: 2000 for emcee, 5000 for nested]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the chain: the same seed, the same samples.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of artifacts to save in.  [default: that of ARTIFACT]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of the artifact to save.  [default: ARTIFACT's and the data's]"),
    ] = None,
    description: Annotated[str | None, typer.Option(help="A line about this run.")] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write corner, spectrum and history, as PDF and PNG."),
    ] = None,
    latex: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a table in LaTeX; - prints it instead."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Infer parameters, tau and x_HI(z) from band powers, and save the posterior as an artifact.

    Give band powers by one of --data, --measurement and --mock. The artifact, of the kind
    "inference", is saved beside ARTIFACT, unless --out and --name say otherwise. If this is
    interrupted, the same command goes on where it stopped.
    """
    from ..artifact.layout import INFERENCE
    from ..artifact.read import load_artifact
    from ..inference.measurements import tau_constraint
    from ..inference.recording import infer_artifact, true_values

    if json and latex == Path("-"):
        raise ConfigError("--json and --latex - both print; give --latex a file")
    record = load_artifact(artifact)
    if record.kind == INFERENCE:
        raise ConfigError(f"{artifact} is a posterior; infer takes the artifact of an emulator")
    observed, truth = _observed(record, data, measurement, mock, dataset, errors, noise_seed)
    options = _options(
        sampler, walkers=walkers, steps=steps, max_steps=max_steps, target_ess=target_ess
    )
    root, name = _destination(record, observed, out, name)
    with progress_line() as line:

        def speak(text: str) -> None:
            line.close()
            say(text)

        try:
            posterior, path = infer_artifact(
                record,
                observed,
                name,
                root,
                tau=tau_constraint(parse_tau(tau)),
                late_time=None if late_time is None else parse_pair("--late-time", late_time),
                priors=parse_priors(prior or []),
                sampler=options,
                seed=seed,
                truth=truth,
                description=description,
                progress=line,
                say=speak,
            )
        except KeyboardInterrupt:
            speak("interrupted; the same command goes on")
            raise typer.Exit(130) from None
    for warning in warnings_about(posterior, record):
        say(f"warning: {warning}")
    written = [*_write_figures(posterior, figures, truth), *_write_latex(posterior, latex)]
    known = true_values(truth)
    if json:
        print_json(as_document(posterior, path, known, written))
    elif latex != Path("-"):
        print_posterior(posterior, known)
        for file in written:
            print(f"wrote {short(file)}")
        print(f"saved {short(path)}")


def _observed(
    record: Artifact,
    data: Path | None,
    measurement: str | None,
    mock: str | None,
    dataset: Path | None,
    errors: str | None,
    noise_seed: int | None,
) -> tuple[BandPowers, Truth | None]:
    """The band powers that were asked for, and the truth behind a mock."""
    from ..inference.data_files import read_band_powers
    from ..inference.measurements import MEASUREMENTS
    from ..inference.mock import mock_from_simulation
    from ..inference.records import load_posterior

    if sum(given is not None for given in (data, measurement, mock)) != 1:
        raise ConfigError("give one of --data FILE, --measurement NAME and --mock SIM")
    if mock is not None:
        return mock_from_simulation(
            record,
            int(mock) if mock.isdecimal() else mock,
            dataset=dataset,
            relative_error=_ERRORS if errors is None else _fraction(errors),
            seed=noise_seed,
        )
    of_mocks = {"--dataset": dataset, "--errors": errors, "--noise-seed": noise_seed}
    for option, given in of_mocks.items():
        if given is not None:
            raise ConfigError(f"{option} is for --mock; other band powers have errors of their own")
    if data is not None:
        folder = data.expanduser().is_dir()
        return (load_posterior(data).data if folder else read_band_powers(data)), None
    if measurement not in MEASUREMENTS:
        known = ", ".join(MEASUREMENTS)
        near = nearest(measurement, MEASUREMENTS)
        raise ConfigError(f"--measurement {measurement}: not known{near}; there are {known}")
    return MEASUREMENTS[str(measurement)](), None


def _fraction(text: str) -> float:
    """0.1 from "10%" or "0.1"."""
    try:
        value = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"--errors {text}: expected 10% or 0.1") from None
    if not value > 0:
        raise ConfigError(f"--errors {text}: an error is above 0, such as 10% or 0.1")
    if value >= 1 and "%" not in text:
        raise ConfigError(f"--errors {text}: that is {100 * value:g}%; for {text}%, write it so")
    return value


def _options(sampler: str, **given: int | None) -> Any:
    """Options of a sampler; those that it does not have are refused."""
    from ..inference.sampling import EmceeOptions, NestedOptions, NutsOptions

    kinds: dict[str, Any] = {kind.name: kind for kind in (EmceeOptions, NutsOptions, NestedOptions)}
    if sampler not in kinds:
        raise ConfigError(
            f"--sampler {sampler}: not known{nearest(sampler, kinds)}; expected {', '.join(kinds)}"
        )
    known = {field.name for field in fields(kinds[sampler])}
    chosen = {key: value for key, value in given.items() if value is not None}
    if odd := sorted(chosen.keys() - known):
        raise ConfigError(f"--{odd[0].replace('_', '-')}: {sampler} has no such option")
    return kinds[sampler](**chosen)


def _destination(
    record: Artifact, data: BandPowers, out: Path | None, name: str | None
) -> tuple[Path, str]:
    """Root and name of the record to write; RecordError before anything is done in vain."""
    from ..artifact.past import locate
    from ..artifact.placing import artifact_path

    root, own = locate(record.path)
    root = root if out is None else out
    words = "".join(c if c.isascii() and (c.isalnum() or c in "._+") else "-" for c in data.name)
    name = name or f"{own}-{words.strip('-.')[:100] or 'data'}"
    artifact_path(name, root)
    return root, name


def _write_figures(posterior: Posterior, folder: Path | None, truth: Truth | None) -> list[Path]:
    if folder is None:
        return []
    from ..plot import save_figures

    return save_figures(posterior, folder, truth=truth)


def _write_latex(posterior: Posterior, target: Path | None) -> list[Path]:
    """Write the table in LaTeX, or print it."""
    if target is None:
        return []
    from ..files import write_bytes
    from ..inference.latex import latex_table

    table = latex_table(posterior)
    if target == Path("-"):
        print(table, end="" if table.endswith("\n") else "\n")
        return []
    write_bytes(target, table.encode())
    return [target]
