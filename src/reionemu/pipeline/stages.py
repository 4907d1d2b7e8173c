"""From raw simulations to an artifact, in stages, each skipped if its result is there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..artifact.read import Artifact
from ..errors import MissingFileError, NoUsableSimulationsError, ReionemuError
from ..simio import CondenseStats, condense_sim_root
from ..simio.build_xy import collect, write_training
from ..simio.compute_cl import write_spectra
from ..simio.condense_h5 import condense_stamp
from ..simio.hdf5 import SkippedSim, edit_h5, locked_h5, open_h5
from ..simio.raw import find_sims
from ..simio.stamps import options_of, read_stamps
from .options import RunOptions
from .progress import Progress, Say
from .training import check_feasible, train_artifact, up_to_date


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Attributes
    ----------
    artifact : Artifact
    skipped : tuple of SkippedSim
        Simulations left out, as far as this run looked at them.
    """

    artifact: Artifact
    skipped: tuple[SkippedSim, ...]


def run(
    options: RunOptions,
    *,
    fresh: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> RunResult:
    """Condense, compute spectra, build training arrays, train, and save.

    A stage whose result is there, made with the same options of the same input, is not done
    again; so a run that was interrupted goes on with the stage it was in.

    Parameters
    ----------
    options : RunOptions
    fresh : bool
        Do every stage, whatever is there.
    progress : callable, optional
        Called with (what is going on, steps done, steps in all).
    say : callable, optional
        Called with a line about each stage.

    Returns
    -------
    RunResult
    """
    say = say or (lambda line: None)
    paths = options.paths
    check_feasible(paths.name, paths.artifacts, options.training)
    paths.dataset.parent.mkdir(parents=True, exist_ok=True)
    stages = _Stages(options, progress)
    skipped: list[SkippedSim] = []
    for names in (("condense",), ("spectra", "training_set")):
        first = next((i for i, name in enumerate(names) if not stages.is_done(name)), len(names))
        due = names if fresh else names[first:]
        for name in names:
            if name not in due:
                say(f"{name.replace('_', ' ')}: up to date in {paths.dataset}")
        for name, line, left_out in stages.do(due) if due else ():
            skipped.extend(left_out)
            say(f"{name.replace('_', ' ')}: {line}")
    artifact = None
    if not fresh:
        artifact = up_to_date(paths.dataset, paths.name, paths.artifacts, options.training)
    if artifact is not None:
        say(f"training: up to date in {artifact.path}")
    else:
        artifact = train_artifact(
            paths.dataset,
            paths.name,
            paths.artifacts,
            options.training,
            description=paths.description,
            progress=progress,
            say=lambda line: say(f"training: {line}"),
            resume=not fresh,
        )
        summary = artifact.results["summary"]
        say(f"training: {summary['n_samples']['train']} simulations{_epochs(summary)}")
    return RunResult(artifact, tuple(skipped))


class _Stages:
    """The stages up to the training arrays, and whether each has been done."""

    def __init__(self, options: RunOptions, progress: Progress | None) -> None:
        self.options = options
        self.progress = progress

    def is_done(self, name: str) -> bool:
        """Whether the dataset bears the stamp that the stage would leave."""
        try:
            with open_h5(self.options.paths.dataset) as h5:
                return read_stamps(h5).get(name) == self._stamp(name)
        except (ReionemuError, OSError):
            return False

    def do(self, names: tuple[str, ...]) -> list[tuple[str, str, tuple[SkippedSim, ...]]]:
        """Do the stages of these names; name, a line about it, and what was left out, of each.

        Spectra and training arrays are added in one edit: a large file is copied once.
        """
        if names == ("condense",):
            condensed = self._condense()
            line = f"{condensed.written} simulations{_left_out(condensed.skipped)}"
            return [("condense", line, condensed.skipped)]
        done: list[tuple[str, str, tuple[SkippedSim, ...]]] = []
        options, dataset = self.options, self.options.paths.dataset
        copying = self._callback("copying the file")
        with locked_h5(dataset), edit_h5(dataset, copying) as h5:
            if "spectra" in names:
                computing = self._callback("computing spectra")
                n = write_spectra(h5, options.spectra, computing)
                done.append(("spectra", f"{n} computed", ()))
            built = collect(h5, options.training_set)
            stats = write_training(h5, built, options.training_set)
        X, ell = built[0], built[2]
        line = f"{len(X)} simulations, {X.shape[1]} parameters, {len(ell)} bins, "
        line += f"ell {ell[0]:.0f} to {ell[-1]:.0f}{_left_out(stats.skipped)}"
        line += "".join(f"; {missing}" for missing in stats.missing)
        return [*done, ("training_set", line, stats.skipped)]

    def _condense(self) -> CondenseStats:
        paths, config = self.options.paths, self.options.condense
        stats = condense_sim_root(
            paths.raw,
            paths.dataset,
            config=config,
            sim_prefix=config.sim_prefix,
            progress_callback=self._callback("condensing"),
        )
        if stats.written == 0:
            why = "; ".join(sim.reason for sim in stats.skipped[:3])
            raise NoUsableSimulationsError(
                f"none of the {stats.skipped_total} simulations in {paths.raw} is usable: {why}",
                stats=stats,
            )
        return stats

    def _stamp(self, name: str) -> dict[str, Any]:
        options = self.options
        if name == "condense":
            if not options.paths.raw.is_dir():
                raise MissingFileError(f"{options.paths.raw} does not exist, or is not a folder")
            folders = find_sims(options.paths.raw, options.condense.sim_prefix)
            return condense_stamp(folders, options.condense.sim_prefix, options.condense)
        return options_of(getattr(options, name))

    def _callback(self, what: str) -> Callable[[int, int], None] | None:
        progress = self.progress
        return (lambda done, total: progress(what, done, total)) if progress else None


def _left_out(skipped: tuple[SkippedSim, ...]) -> str:
    return f", {len(skipped)} left out" if skipped else ""


def _epochs(summary: Mapping[str, Any]) -> str:
    """How the training of a network went; nothing of other models."""
    if "epochs_run" not in summary:
        return ""
    return (
        f", {summary['epochs_run']} epochs, best validation loss {summary['best_val_loss']:.3g} in "
        f"epoch {summary['best_epoch']}"
    )
