"""reionemu simulate"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config import check_keys, from_mapping
from ..errors import ConfigError, MapError
from .choices import parse_value
from .output import JsonOption, print_json, print_table, progress_line, say, short
from .presets import print_presets

if TYPE_CHECKING:
    from ..simulation.campaign import CampaignResult
    from ..simulation.config import SimulationConfig

_NOT_IN_A_JOB = {"workers", "rows", "slurm_script", "slurm_jobs", "slurm_time"}


def simulate(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the simulations.")],
    params: Annotated[
        Path | None, typer.Argument(help="Design file, as `reionemu sample` makes it.")
    ] = None,
    preset: Annotated[str, typer.Option(help="demo, laptop, medium, large or reference.")] = (
        "laptop"
    ),
    box: Annotated[float | None, typer.Option(help="Side of the box [Mpc/h].")] = None,
    cells: Annotated[int | None, typer.Option(help="Cells along a side.")] = None,
    realizations: Annotated[
        str | None, typer.Option(help="Seeds that all rows share, such as 0,1,2.")
    ] = None,
    own_seeds: Annotated[
        int | None,
        typer.Option(metavar="BASE", help="Instead: a realization of its own for each row."),
    ] = None,
    axes: Annotated[str | None, typer.Option(help="Lines of sight: 0, 1, 2 or several.")] = None,
    z_min: Annotated[float | None, typer.Option(help="Near end of the light cone.")] = None,
    z_max: Annotated[float | None, typer.Option(help="Far end of the light cone.")] = None,
    geometry: Annotated[str | None, typer.Option(help="rays or parallel.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Another field of the configuration: cosmology.h=0.7, deposit=cic. Repeatable.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda.")] = "cpu",
    workers: Annotated[int | None, typer.Option(help="Simulations at a time.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where shared fields are kept.")] = None,
    rows: Annotated[
        str | None, typer.Option(metavar="A:B", help="Only rows from A up to, not including, B.")
    ] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help='Run on a Ray cluster; or "local".')
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Start with too little memory.")] = False,
    zmean: Annotated[float | None, typer.Option(help="Without a file: one simulation.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    kb: Annotated[float | None, typer.Option(help="Likewise [h/Mpc].")] = None,
    b0: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only say what is there and what is missing.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only compare all files with their checksums.")
    ] = False,
    slurm_script: Annotated[
        bool, typer.Option("--slurm-script", help="Only print the script of a job array.")
    ] = False,
    slurm_jobs: Annotated[int, typer.Option(help="Jobs of that array.")] = 10,
    slurm_time: Annotated[str, typer.Option(help="Time limit of each of them.")] = "24:00:00",
    presets: Annotated[
        bool,
        typer.Option(
            "--presets", callback=print_presets, is_eager=True, help="Only list the presets."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make the raw simulations of a design; run again, it goes on where it was."""
    from ..simulation.campaign import run_campaign
    from ..simulation.campaign.plan import parse_rows

    if status or verify:
        if params is not None:
            raise ConfigError(
                "--status and --verify look at the campaign in the folder: leave out the design"
            )
        _report(out, verify, json)
        return
    design = _design(params, {"zmean": zmean, "alpha": alpha, "kb": kb, "b0": b0})
    changes: dict[str, Any] = {
        "box": box,
        "n_cells": cells,
        "realizations": _numbers("realizations", realizations),
        "axes": _numbers("axes", axes),
        "z_min": z_min,
        "z_max": z_max,
        "geometry": geometry,
    }
    if own_seeds is not None:
        if realizations is not None:
            raise ConfigError("--own-seeds and --realizations exclude each other")
        if own_seeds < 0:
            raise ConfigError(f"--own-seeds {own_seeds}: expected a whole number from 0 up")
        changes["realizations"] = {"base": own_seeds}
    config = _config(preset, changes, settings or [])
    if slurm_script:
        _print_script(context, design, config, slurm_jobs, slurm_time, workers)
        return
    with progress_line() as line:
        try:
            result = run_campaign(
                design,
                out,
                config,
                rows=parse_rows(rows) if rows else slice(None),
                workers=workers,
                cache=cache,
                device=device,
                ray=ray,
                force=force,
                progress=line,
                say=say,
            )
        except KeyboardInterrupt:
            line.close()
            say("interrupted; the same command goes on where it was")
            raise typer.Exit(130) from None
    spectra = _spectra(result.raw) if params is None and not result.failed else {}
    _print_result(result, spectra, json)
    if result.failed:
        raise typer.Exit(1)
    if params is not None and result.complete:
        say(f"now: reionemu condense {short(result.raw)} {short(result.raw)}.h5")


def _print_result(result: CampaignResult, spectra: dict[str, dict[str, Any]], json: bool) -> None:
    """What came of a campaign, and spectra by simulation if there are any."""
    for failure in result.failed[:20]:
        say(f"  {failure.name} failed: {failure.message}")
    if len(result.failed) > 20:
        say(f"  and {len(result.failed) - 20} more")
    if json:
        print_json(dataclasses.asdict(result) | ({"spectra": spectra} if spectra else {}))
        return
    print(
        f"{short(result.raw)}: {result.made} made, {result.already_there} were there, "
        f"{len(result.failed)} failed"
    )
    for name, found in spectra.items():
        numbers = zip(found["ell"], found["dl"], strict=True)
        title = f"{name}: tau = {found['tau']:.4f}, spectrum of this one realization"
        print_table(["ell", "D_ell [uK^2]"], [[f"{a:.0f}", f"{b:.4f}"] for a, b in numbers], title)


def _spectra(raw: Path) -> dict[str, dict[str, Any]]:
    """Spectra by simulation, of a campaign of one point, for who wants no more than these."""
    import numpy as np

    from ..simio.raw import find_sims, read_sim
    from ..spectra import ClConfig, flat_sky_spectrum

    spectra = {}
    for folder in find_sims(raw, "sim"):
        found = read_sim(folder).output
        temperature = np.asarray(found["ksz_map"]) * (float(found["Tcmb0"]) * 1e6)
        try:
            spectrum = flat_sky_spectrum(temperature, float(found["theta_max_ksz"]), ClConfig())
        except MapError as error:
            say(f"{folder.name} has no spectrum: {error}")
            continue
        spectra[folder.name] = {"ell": spectrum.ell, "dl": spectrum.dl, "tau": found["tau"]}
    return spectra


def _design(params: Path | None, point: dict[str, float | None]) -> Any:
    """The design file, or the one row that is given by options."""
    from ..parameters import PARAMETER_NAMES

    given = [value for value in point.values() if value is not None]
    if params is not None and not given:
        return params
    if params is None and len(given) == len(point):
        return dict(zip(PARAMETER_NAMES, given, strict=True))
    if params is not None:
        raise ConfigError(f"give the design {params} or one set of parameters, not both")
    raise ConfigError(
        "give a design file (`reionemu sample` makes one), or one set of parameters by "
        f"--{', --'.join(point)}"
    )


def _config(preset: str, changes: dict[str, Any], settings: list[str]) -> SimulationConfig:
    """A preset with changes: fields, and "key=value" or "cosmology.key=value"."""
    from ..simulation.campaign.ledger import config_document
    from ..simulation.config import SimulationConfig
    from ..simulation.config import preset as named

    document = config_document(named(preset))
    document |= {name: value for name, value in changes.items() if value is not None}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected KEY=VALUE, such as cosmology.h=0.7")
        table, path = document, key.strip().split(".")
        if len(path) == 2 and path[0] == "cosmology":
            table = document["cosmology"]
        check_keys({path[-1] if len(path) < 3 else key: None}, table, "--set")
        table[path[-1]] = parse_value(text.strip())
    return from_mapping(SimulationConfig, document, "options")


def _numbers(name: str, text: str | None) -> list[int] | None:
    try:
        return [int(part) for part in text.split(",")] if text is not None else None
    except ValueError:
        raise ConfigError(f"--{name} {text}: expected whole numbers, such as 0,1,2") from None


def _report(raw: Path, verify: bool, json: bool) -> None:
    """Say what there is of a campaign; exit status 1 if something is wrong with it."""
    from ..simulation.campaign import campaign_status

    with progress_line() as line:
        found = campaign_status(raw, verify=verify, progress=line)
    for name, reason in list(found.damaged.items())[:20]:
        say(f"  {name}: {reason}")
    if found.damaged:
        say("move such folders out of the way; the same `reionemu simulate` makes what is missing")
    if json:
        print_json(dataclasses.asdict(found))
    else:
        print(
            f"{short(found.raw)}: {found.there} of {found.total} simulations, "
            f"{len(found.missing)} missing, {len(found.damaged)} damaged or of another campaign; "
            f"{found.seconds:.0f} s of computing"
        )
    if found.damaged or (verify and found.missing):
        raise typer.Exit(1)


def _print_script(
    context: typer.Context,
    design: Any,
    config: SimulationConfig,
    jobs: int,
    time: str,
    workers: int | None,
) -> None:
    """Print a job array that runs this command, with absolute paths, on parts of the rows."""
    from ..simulation.campaign.plan import make_plan
    from ..simulation.campaign.resources import needs_of
    from ..simulation.campaign.run import SIMULATOR, load_design
    from ..simulation.campaign.slurm import array_script

    plan = make_plan(load_design(design), config)
    cores = 4 if workers is None else workers
    command = [sys.executable, "-m", "reionemu", "simulate", *_arguments(context)]
    memory = needs_of(plan, SIMULATOR).memory(cores)
    script = array_script(
        command, len(plan.theta), jobs=jobs, cores=cores, memory=memory, time=time
    )
    print(script, end="")


def _arguments(context: typer.Context) -> list[str]:
    """The options of this command line that a job needs, paths made absolute."""
    found = []
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is None or source.name != "COMMANDLINE" or option.name in _NOT_IN_A_JOB:
            continue
        value = context.params[option.name]
        for item in value if isinstance(value, (list, tuple)) else [value]:
            text = str(item.absolute()) if isinstance(item, Path) else str(item)
            flags = [] if option.param_type_name == "argument" else [option.opts[0]]
            found += flags if item is True else [*flags, text]
    return found
