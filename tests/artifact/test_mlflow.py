"""A record copied to MLflow: what arrives there is what was recorded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import reionemu
from reionemu.artifact import log_to_mlflow
from reionemu.errors import ConfigError, RecordError, ReionemuError

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def artifact(save, four_param) -> reionemu.Artifact:
    path = save(
        four_param,
        "of/first",
        metrics={"val_loss": 0.25, "diverged": NAN, "errors": {"mean": [0.5, 0.25]}, "best": True},
        history={"train_loss": [3.0, 2.0, 1.0], "val_loss": [2.0, NAN, INF]},
        optimizer_config={"name": "adamw", "note: é/../x": "y" * 9000},
        description="A trial",
    )
    return reionemu.load_artifact(path)


@pytest.fixture
def client(tmp_path, monkeypatch):
    """A client of a database in a folder of its own, and nothing sent to anybody."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("DO_NOT_TRACK", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tracking = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("alembic")
    return tracking.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_without_mlflow_it_is_said_what_to_install(artifact, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(ConfigError, match=r"pip install 'reionemu\[mlflow\]'"):
        log_to_mlflow(artifact)


@pytest.mark.filterwarnings("default")
class TestWithMlflow:
    """Warnings of MLflow and of what it uses are not ours to fail by."""

    def test_options_metrics_and_tags_arrive(self, artifact, client, tmp_path):
        run = client.get_run(log_to_mlflow(artifact, tracking_uri=client.tracking_uri))
        assert run.info.status == "FINISHED"
        assert run.info.run_name == "of/first"
        assert client.get_experiment(run.info.experiment_id).name == "reionemu"
        params = run.data.params
        assert params["data_loading.dataloader.batch_size"] == "8"
        assert params["optimizer.name"] == "adamw"
        assert "y" * 100 in "".join(params.values())
        assert "training" not in params
        metrics = run.data.metrics
        assert metrics["metrics.val_loss"] == 0.25
        assert metrics["metrics.errors.mean.1"] == 0.25
        assert not {"metrics.diverged", "metrics.best"} & metrics.keys()
        tags = run.data.tags
        assert tags["reionemu.name"] == "of/first"
        assert tags["reionemu.version"] == reionemu.__version__
        expected = artifact.info["dataset"]["content_sha256"]
        assert tags["reionemu.training_data_sha256"] == expected
        assert tags["mlflow.note.content"] == "A trial"
        assert tags["reionemu.not_finite"] == (
            "metrics.diverged: nan, val_loss: nan, val_loss: inf"
        )

    def test_the_history_has_a_step_an_epoch_and_no_invented_values(self, artifact, client):
        run_id = log_to_mlflow(artifact, tracking_uri=client.tracking_uri)
        points = {
            name: [(point.step, point.value) for point in client.get_metric_history(run_id, name)]
            for name in ("train_loss", "val_loss")
        }
        assert points["train_loss"] == [(1, 3.0), (2, 2.0), (3, 1.0)]
        assert points["val_loss"] == [(1, 2.0)]

    def test_the_files_arrive_whole(self, artifact, client, tmp_path):
        run_id = log_to_mlflow(artifact, tracking_uri=client.tracking_uri)
        copy = Path(client.download_artifacts(run_id, "", str(tmp_path)))
        names = {path.name for path in artifact.path.iterdir()}
        assert {path.name for path in copy.iterdir() if path.suffix in (".json", ".pt")} <= names
        for name in names:
            assert (copy / name).read_bytes() == (artifact.path / name).read_bytes()

    def test_an_experiment_is_made_once(self, artifact, client):
        uri = client.tracking_uri
        runs = [log_to_mlflow(artifact, tracking_uri=uri, experiment="mine") for _ in range(2)]
        experiments = {client.get_run(run_id).info.experiment_id for run_id in runs}
        assert len(set(runs)) == 2
        assert len(experiments) == 1

    def test_a_long_history_arrives_in_full(self, save, four_param, client):
        history = {"train_loss": [float(i) for i in range(2500)]}
        artifact = reionemu.load_artifact(save(four_param, history=history))
        run_id = log_to_mlflow(artifact, tracking_uri=client.tracking_uri)
        assert len(client.get_metric_history(run_id, "train_loss")) == 2500

    def test_a_store_that_refuses_is_named(self, artifact, tmp_path, client):
        (tmp_path / "file").write_text("not a database " * 1000)
        with pytest.raises(ReionemuError, match="did not take the record"):
            log_to_mlflow(artifact, tracking_uri=f"sqlite:///{tmp_path / 'file'}")

    def test_a_damaged_record_is_not_copied(self, artifact, client):
        (artifact.path / "model.pt").unlink()
        with pytest.raises(RecordError, match=r"model\.pt"):
            log_to_mlflow(artifact, tracking_uri=client.tracking_uri)
        assert client.get_experiment_by_name("reionemu") is None
