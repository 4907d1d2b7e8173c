"""The application object and its list of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from . import (
    artifact,
    cache,
    cobaya,
    condense,
    crossval,
    example,
    infer,
    learning_curve,
    predict,
    run,
    sample,
    simulate,
    spectra,
    suggest,
    train,
    training_set,
    tune,
)

app = typer.Typer(
    name="reionemu",
    help="Emulate the kinetic Sunyaev-Zel'dovich power spectrum: from simulations to predictions.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("sample")(sample.sample)
app.command("simulate")(simulate.simulate)
app.command("condense")(condense.condense)
app.command("spectra")(spectra.spectra)
app.command("training-set")(training_set.training_set)
app.command("train")(train.train)
app.command("crossval")(crossval.crossval)
app.command("learning-curve")(learning_curve.learning_curve)
app.command("tune")(tune.tune)
app.command("predict")(predict.predict)
app.command("suggest")(suggest.suggest)
app.command("infer")(infer.infer)
app.command("cobaya")(cobaya.cobaya)
app.add_typer(artifact.app, name="artifact")
app.command("cache")(cache.cache)
app.command("example")(example.example)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"reionemu {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Nothing but --version belongs to all commands."""
