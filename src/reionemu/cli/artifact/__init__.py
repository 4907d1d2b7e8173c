"""reionemu artifact ...: one file a command; the list of them is here."""

from __future__ import annotations

import typer

from . import (
    card,
    compare,
    crate,
    diff,
    export,
    history,
    importing,
    listing,
    mlflow,
    schema,
    show,
    verify,
)

app = typer.Typer(help="Look at saved experiments.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def commands() -> None:
    """Look at saved experiments."""


# To add a command: put it in a module of its own, import that above, name it here.
app.command("list")(listing.list_artifacts)
app.command("find")(listing.find)
app.command("show")(show.show)
app.command("compare")(compare.compare)
app.command("diff")(diff.diff)
app.command("verify")(verify.verify)
app.command("history")(history.history)
app.command("restore")(history.restore)
app.command("prune")(history.prune)
app.command("schema")(schema.schema)
app.command("export")(export.export)
app.command("import")(importing.import_)
app.command("card")(card.card)
app.command("crate")(crate.crate)
app.command("mlflow")(mlflow.mlflow)
