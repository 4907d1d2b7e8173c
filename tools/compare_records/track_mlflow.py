"""MLflow with its default store: SQLite in the working directory, artifacts beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import (
    NO,
    PARTLY,
    YES,
    Outcome,
    ProbeError,
    Record,
    config_of,
    epoch_of,
    sha256,
    weights_of,
)
from probes import Tracker
from processes import sqlite_rows
from script import main


class MLflow(Tracker):
    name, module = "MLflow", "mlflow"

    def prepare(self, root: Path) -> None:
        super().prepare(root)
        self.ask("begin", root)

    def begin(self, root: Path) -> str:
        import mlflow

        return mlflow.set_experiment("comparison").experiment_id

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        import mlflow

        mlflow.set_experiment("comparison")
        with mlflow.start_run(run_name=name):
            mlflow.log_params(config_of(lr))
            for epoch in epochs:
                mlflow.log_metrics(epoch_of(lr, epoch), step=epoch)
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder, "weights.bin")
                weights.write_bytes(weights_of(lr))
                mlflow.log_artifact(str(weights))

    def read(self, root: Path) -> list[Record]:
        import mlflow

        client, found = mlflow.MlflowClient(), []
        experiment = client.get_experiment_by_name("comparison")
        for run in client.search_runs([experiment.experiment_id]):
            history = {
                key: [m.value for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            }
            try:
                path = mlflow.artifacts.download_artifacts(
                    run_id=run.info.run_id, artifact_path="weights.bin"
                )
                weights = sha256(Path(path).read_bytes())
            except Exception:  # of several kinds, for an artifact that is not there
                weights = None
            name, status = run.info.run_name, run.info.status
            found.append(Record(name, dict(run.data.params), history, weights, status))
        return found

    def facts(self, root: Path) -> dict[str, Any]:
        import mlflow

        tags = mlflow.search_runs(experiment_names=["comparison"]).iloc[0].to_dict()
        script = tags.get("tags.mlflow.source.name")
        return {
            "code": tags.get("tags.mlflow.source.git.commit"),
            "environment": None,
            "command": None,
            "script": script and Path(script).name,
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        database = root / "mlflow.db"
        rows = sqlite_rows(database, "select key, value from params")
        metrics = "select value, is_nan from metrics where key = 'train_loss' order by step"
        values = [float("nan") if nan else value for value, nan in sqlite_rows(database, metrics)]
        (weights,) = root.glob("mlruns/*/*/artifacts/weights.bin")
        record = Record("", dict(rows), {"train_loss": values}, sha256(weights.read_bytes()))
        return record, "SQLite for all but the files"

    def compare(self, root: Path, rule: str) -> list[str]:
        import mlflow

        found = mlflow.search_runs(experiment_names=["comparison"], filter_string=rule)
        return sorted(found["tags.mlflow.runName"])

    def probe_compare(self, work: Path) -> Outcome:
        root = self.fresh(work)
        for i in range(5):
            self.save(root, f"run{i}", round(0.01 * (i + 1), 2))
        metric = "metrics.train_loss < 0.095"
        try:
            found = self.ask("compare", root, f"params.lr > '0.025' and {metric}")
            return Outcome(YES if found == ["run2", "run3"] else NO, f"search_runs: {found}")
        except ProbeError as error:
            said = str(error).rpartition("Exception: ")[2]
        found = self.ask("compare", root, metric)
        text = f"search_runs by metric: {found}; by parameter, which is text: {said}"
        return Outcome(PARTLY if found == ["run0", "run1", "run2", "run3"] else NO, text)

    def many(self, root: Path, n: str) -> int:
        import mlflow

        mlflow.set_experiment("comparison")
        for i in range(int(n)):
            with mlflow.start_run(run_name=f"many{i}"):
                mlflow.log_params(config_of(0.01))
                mlflow.log_metrics(epoch_of(0.01, 1), step=1)
        return int(n)

    def listing(self, root: Path) -> list[str]:
        return ["mlflow", "experiments", "csv", "--experiment-id", "1"]

    def digests(self, root: Path) -> list[str]:
        import mlflow
        import numpy as np

        X = np.arange(60_000.0).reshape(20_000, 3)
        changed, found = X.copy(), []
        changed[-1] += 1
        for rows in (X, changed):
            data = mlflow.data.from_numpy(rows)
            with mlflow.start_run() as run:
                mlflow.log_input(data, context="training")
            found.append(mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset.digest)
        return found

    def probe_data_hash(self, work: Path) -> Outcome:
        one, other = self.ask("digests", self.fresh(work))
        text = f"mlflow.log_input records {one}, and for the changed array {other}"
        return Outcome(YES if one != other else PARTLY, text)

    def probe_lineage(self, work: Path) -> Outcome:
        root = self.fresh(work)
        source = self.ask("dataset_fields", root)
        text = f"log_input keeps {source} of a data set; earlier steps and rows are not asked for"
        return Outcome(PARTLY, text)

    def dataset_fields(self, root: Path) -> list[str]:
        import mlflow
        import numpy as np

        with mlflow.start_run() as run:
            mlflow.log_input(mlflow.data.from_numpy(np.zeros((3, 2)), source="raw.h5"), "training")
        dataset = mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0].dataset
        return sorted(key for key, value in dict(dataset).items() if value)

    def model(self, root: Path) -> list[str]:
        """Log a model with an input example; return the files that the model then has."""
        import mlflow
        import numpy as np

        (root / "model.py").write_text(
            "import mlflow\n"
            "class Model(mlflow.pyfunc.PythonModel):\n"
            "    def predict(self, context, model_input, params=None):\n"
            "        return 2 * model_input\n"
            "mlflow.models.set_model(Model())\n"
        )
        with mlflow.start_run():
            info = mlflow.pyfunc.log_model(
                name="model", python_model="model.py", input_example=np.ones((2, 4))
            )
        folder = Path(mlflow.artifacts.download_artifacts(info.model_uri))
        return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())

    def probe_self_test(self, work: Path) -> Outcome:
        files = self.ask("model", self.fresh(work))
        kept = [f for f in files if "example" in f]
        text = (
            f"log_model(input_example=...) keeps {', '.join(kept)}: inputs, no outputs to compare"
        )
        return Outcome(NO if not any("output" in f for f in files) else PARTLY, text)

    def probe_one_file(self, work: Path) -> Outcome:
        helps = (("mlflow", "--help"), ("mlflow", "runs", "--help"))
        there = self.commands_with("export import bundle", *helps, cwd=work)
        return Outcome(NO, f"commands for it in `mlflow --help`, `mlflow runs --help`: {there}")

    def plant(self, root: Path) -> bool:
        """Log a model the usual way for scikit-learn-like objects, whose pickle runs a command."""
        import mlflow

        class Evil(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return model_input

            def __reduce__(self):
                return (eval, ("__import__('os').system('touch RAN')",))

        with mlflow.start_run():
            info = mlflow.pyfunc.log_model(name="model", python_model=Evil())
        Path(root, "RAN").unlink(missing_ok=True)
        Path(root, "uri").write_text(info.model_uri)
        return True

    def load(self, root: Path) -> str:
        import mlflow

        try:
            mlflow.pyfunc.load_model(Path(root, "uri").read_text())
        except Exception as error:  # the planted object is no model; it ran or not before that
            return f"{type(error).__name__}: {error}"[:120]
        return "loaded"

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.ask("plant", root)
        said = self.ask("load", root)
        if (root / "RAN").exists():
            return Outcome(PARTLY, "runs and artifacts are data; load_model ran a planted pickle")
        return Outcome(YES, f"load_model refused a planted pickle ({said})")

    def half(self, root: Path) -> str:
        import mlflow

        run = mlflow.start_run(run_name="resumed")
        mlflow.log_params(config_of(0.01))
        for epoch in range(1, 11):
            mlflow.log_metrics(epoch_of(0.01, epoch), step=epoch)
        return run.info.run_id

    def rest(self, root: Path, run_id: str) -> int:
        import mlflow

        with mlflow.start_run(run_id=run_id):
            for epoch in range(11, 21):
                mlflow.log_metrics(epoch_of(0.01, epoch), step=epoch)
        return len(mlflow.MlflowClient().get_metric_history(run_id, "train_loss"))

    def probe_resume(self, work: Path) -> Outcome:
        root = self.fresh(work)
        epochs = self.ask("rest", root, self.ask("half", root))
        text = f"start_run(run_id=...): {epochs} epochs in one run; state is the caller's to keep"
        return Outcome(PARTLY if epochs == 20 else NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        ((version,),) = sqlite_rows(root / "mlflow.db", "select version_num from alembic_version")
        text = f"database revision {version}, in the table alembic_version"
        return Outcome(PARTLY, text)


if __name__ == "__main__":
    main(MLflow())
