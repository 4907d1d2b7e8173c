"""reionemu predict"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, MissingFileError, MissingRecordError, OutOfRangeError
from .choices import parse_value
from .output import JsonOption, print_json, say
from .predictions import (
    as_document,
    print_many,
    print_neutral_fraction,
    print_one,
    realization_note,
)

if TYPE_CHECKING:
    from ..models.emulator import Emulator

_ONLY_IN_PYTHON = ("normalizers", "state_dict")
_BRIEF = {"zmean": "zmean_zre", "alpha": "alpha_zre", "kb": "kb_zre", "b0": "b0_zre"}


def predict(
    artifact: Annotated[Path, typer.Argument(help="Folder of an artifact.")],
    zmean: Annotated[float | None, typer.Option(help="zmean_zre")] = None,
    alpha: Annotated[float | None, typer.Option(help="alpha_zre")] = None,
    kb: Annotated[float | None, typer.Option(help="kb_zre [h/Mpc]")] = None,
    b0: Annotated[float | None, typer.Option(help="b0_zre")] = None,
    params: Annotated[
        Path | None,
        typer.Option(help="Text file of points: a header with the names of columns, then rows."),
    ] = None,
    out_of_range: Annotated[
        str, typer.Option(help="Outside the training box: raise, warn or nan.")
    ] = "raise",
    draws: Annotated[int, typer.Option(help="Dropout draws, for a model that has dropout.")] = 201,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--given",
            metavar="KEY=VALUE",
            help="What the record lacks, or should be overruled in: y_transform=ln, "
            "activation=relu, bounds=unbounded, ...",
        ),
    ] = None,
    ell: Annotated[
        str | None, typer.Option(help="Multipoles, such as 2000,3000, instead of bin centres.")
    ] = None,
    redshifts: Annotated[
        str | None, typer.Option(help="Redshifts, such as 6,7,8, to give the neutral fraction at.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Predict spectra, tau and x_HI(z) for one set of parameters, or for a file of them."""
    from ..models.emulator import OUT_OF_RANGE

    emulator = _emulator(artifact, given or [])
    brief = {"zmean": zmean, "alpha": alpha, "kb": kb, "b0": b0}
    point = {_BRIEF[key]: value for key, value in brief.items() if value is not None}
    if (params is None) == (not point):
        raise ConfigError("give one point (--zmean --alpha --kb --b0), or a file (--params FILE)")
    if params is None:
        _require_point(point, emulator.parameter_names)
    theta = point if params is None else _read_points(params, emulator.parameter_names)
    if out_of_range not in OUT_OF_RANGE:
        raise ConfigError(
            f"--out-of-range must be {', '.join(OUT_OF_RANGE[:-1])} or {OUT_OF_RANGE[-1]}; "
            f"got {out_of_range!r}"
        )
    z = _numbers("--redshifts", redshifts)
    history = None
    try:
        result = emulator.predict(theta, out_of_range=out_of_range, n_draws=draws, seed=seed)
        if z is not None or emulator.history is not None:
            with warnings.catch_warnings():  # said once already
                warnings.simplefilter("ignore")
                history = emulator.predict_history(theta, z, out_of_range=out_of_range)
    except OutOfRangeError as error:
        raise _out_of_range(error) from None
    if emulator.suite is not None and (note := realization_note(emulator.suite)):
        say(note)
    multipoles = _numbers("--ell", ell)
    if multipoles is not None:
        result = result.at(multipoles)
    if json:
        print_json(as_document(result, history, theta))
    elif params is None:
        print_one(result, history)
        if z is not None and history is not None:
            print_neutral_fraction(history)
    else:
        print_many(result, history, z is not None)


def _numbers(option: str, text: str | None) -> list[float] | None:
    """Numbers from an option such as "6,7,8"."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"{option} {text}: expected numbers, such as 6,7,8") from None


def _emulator(path: Path, given: list[str]) -> Emulator:
    """The emulator of a record; what is lacking is asked for as it is given here."""
    from ..artifact.read import load_artifact
    from ..artifact.unfinished import shortfall

    record = load_artifact(path)
    try:
        return record.emulator(**_given(given))
    except MissingRecordError as error:
        if shortfall(record):
            raise
        raise MissingRecordError(_lacking(path, error.fields), fields=error.fields) from None


def _lacking(path: Path, fields: Sequence[str]) -> str:
    can = [field for field in fields if field not in _ONLY_IN_PYTHON]
    cannot = [field for field in fields if field in _ONLY_IN_PYTHON]
    message = (
        f"{path} does not record {', '.join(fields)}, and its dataset is not at hand unchanged"
    )
    if cannot:
        return f"{message}; {' and '.join(cannot)} cannot be given to this command, only in Python"
    options = " ".join(f"--given {field}=..." for field in can)
    return f"{message}; give {options}" + (
        " (--given bounds=unbounded for no check)" if "bounds" in can else ""
    )


def _require_point(point: dict[str, float], names: Sequence[str]) -> None:
    """Parameters of one point must be those of the emulator."""
    if missing := [name for name in names if name not in point]:
        options = ", ".join(map(_option, missing))
        if any(name not in _BRIEF.values() for name in missing):
            raise ConfigError(
                f"the emulator depends on {', '.join(names)}; give points in a file (--params FILE)"
            )
        raise ConfigError(f"{options} {'is' if len(missing) == 1 else 'are'} missing")
    if unknown := [name for name in point if name not in names]:
        raise ConfigError(
            f"{_option(unknown[0])}: the emulator has no {unknown[0]}; it depends on "
            f"{', '.join(names)}"
        )


def _out_of_range(error: OutOfRangeError) -> OutOfRangeError:
    """The same error, with advice for the command line."""
    what, _, _ = str(error).partition(". Choose a value inside")
    return OutOfRangeError(
        f"{what}. Choose a value inside, or --out-of-range warn (extrapolate) or nan (no answer "
        "there)",
        **vars(error),
    )


def _option(name: str) -> str:
    """The option by which a parameter is given, or its name if there is none."""
    return next((f"--{brief}" for brief, full in _BRIEF.items() if full == name), name)


def _given(items: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or key.strip() in ("state_dict", "normalizers"):
            raise ConfigError(
                f"--given {item}: expected KEY=VALUE, with a number or a word as VALUE"
            )
        parsed = parse_value(value)
        given[key.strip()] = "none" if value.strip() == "none" else parsed
    return given


def _read_points(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Columns by name of a text file; the last line above the numbers names them.

    That is a file of `reionemu sample`, or a table with a line of names, with or without a #. Other
    columns are ignored: a chain of samples has a likelihood, too.
    """
    import numpy as np

    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise MissingFileError(f"{path} does not exist") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file") from None
    header: list[str] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        if not rows and (line.lstrip().startswith("#") or not header):
            header = line.replace("#", " ").replace(",", " ").split() or header
            header = [_BRIEF.get(name, name) for name in header]
            continue
        values = line.split("#")[0].replace(",", " ").split()
        if not values:
            continue
        try:
            rows.append([float(value) for value in values])
        except ValueError:
            raise ConfigError(f"{path}, line {number}: not a row of numbers") from None
        if len(values) != len(header):
            raise ConfigError(
                f"{path}, line {number}: {len(values)} values under {len(header)} column names"
            )
    if twice := [name for name in names if header.count(name) > 1]:
        raise ConfigError(f"{path}: the column {twice[0]} stands there twice")
    missing = [name for name in names if name not in header]
    if missing:
        raise ConfigError(
            f"{path}: the line above the numbers must name the columns; {missing[0]} is not among "
            f"{', '.join(header) or 'nothing'}"
        )
    if not rows:
        raise ConfigError(f"{path} holds no points")
    table = np.array(rows)
    return {name: table[:, header.index(name)] for name in names}
