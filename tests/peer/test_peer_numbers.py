"""Every number and document of the user's script, under this package and the published one.

Left out are the departures that are meant: `dcl` (another quantity), maps with NaN (refused here),
and spectra of which the published package leaves bins NaN (refused here).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from conftest import Run

pytestmark = pytest.mark.peer

ELL_CUT = 500.0  # of the script
SPECTRA = 1e-10
FLOAT32 = 1e-5
HISTORY = 2e-4
SIGMAS = 5

OTHER_ERRORS = {
    "errors/build/source": "ValueError",  # there it looks like spectra that are missing
    "errors/predict/no normalizer": "ValueError",  # there None meets arithmetic
    "errors/model/width": "ValueError",  # there a network of no units is made
}
"""Misuse that is refused here in another way than there, and the error to expect."""

VOLATILE = ("created_at", "modified_at", "path", "file_size_bytes")


def assert_close(ours: Run, peer: Run, names: list[str], rtol: float, atol: float = 0.0) -> None:
    assert names
    for name in names:
        assert ours.numbers[name].dtype == peer.numbers[name].dtype, name
        np.testing.assert_allclose(
            ours.numbers[name], peer.numbers[name], rtol=rtol, atol=atol, err_msg=name
        )


def assert_same(ours: Run, peer: Run, names: list[str]) -> None:
    assert names
    for name in names:
        np.testing.assert_array_equal(ours.numbers[name], peer.numbers[name], err_msg=name)


def test_the_two_sides_are_two_packages(ours: Run, peer: Run) -> None:
    assert peer.documents["release"] == "0.4.0"
    assert ours.documents["release"] != "0.4.0"


BESIDE = {f"training/{name}" for name in ("tau", "z", "x_hi", "dl_covariance")}
"""What /training holds here that the published package's does not."""


def test_both_runs_record_the_same_numbers(ours: Run, peer: Run) -> None:
    assert set(ours.numbers) - set(peer.numbers) <= BESIDE
    extra = set(peer.numbers) - set(ours.numbers)
    assert all(name.startswith("maps/") for name in extra)
    assert len(ours.numbers) > 1000


def test_condensed_files_hold_the_same_values(ours: Run, peer: Run) -> None:
    names = peer.named("condensed/")
    assert_same(ours, peer, names)
    assert {ours.numbers[name].dtype for name in names if name.endswith("ksz_map")} == {
        np.dtype("f4"),
        np.dtype("f8"),
    }


def test_damaged_simulations_are_counted_alike(ours: Run, peer: Run, n_good: int) -> None:
    stats = ours.documents["condense/stats"]
    assert stats == peer.documents["condense/stats"]
    assert stats["skipped_missing_obs_pk"] == 6
    assert stats["skipped_validation_error"] == 1
    assert stats["written"] == n_good + 4


def test_progress_is_told_alike(ours: Run, peer: Run) -> None:
    for stage in ("condense/progress", "cl/progress", "cl/updated"):
        assert ours.documents[stage] == peer.documents[stage], stage


def test_file_attributes_are_there_with_the_same_values(ours: Run, peer: Run) -> None:
    theirs = peer.texts("condensed/", "training/")
    assert {"condensed/@description", "training/@y_transform", "training/sim_ids"} <= set(theirs)
    assert theirs == {name: ours.documents[name] for name in theirs}


def test_spectra_in_the_file_agree(ours: Run, peer: Run, n_good: int) -> None:
    names = [name for name in peer.named("spectra/sims") if "/cl/" in name]
    assert len(names) == 3 * (n_good + 4)
    assert_close(ours, peer, names, SPECTRA)
    assert all(ours.numbers[name].min() >= ELL_CUT for name in names if name.endswith("ell"))


def test_spectra_agree_for_many_map_sizes_and_binnings(ours: Run, peer: Run) -> None:
    names = ours.named("maps/")
    assert len(names) > 1500
    assert_close(ours, peer, names, SPECTRA)


def test_spectra_refused_here_are_empty_or_nan_there(ours: Run, peer: Run) -> None:
    refused = ours.texts("maps/")
    assert refused
    for name in refused:
        of_peer = [peer.numbers[cl] for cl in peer.named(f"{name}/") if cl.endswith("cl_ksz")]
        assert of_peer
        assert any(cl.size == 0 or np.isnan(cl).any() for cl in of_peer), name


def test_training_arrays_agree(ours: Run, peer: Run) -> None:
    names = peer.named("build/", "training/", "loaded/")
    assert_close(ours, peer, names, FLOAT32)
    assert_close(ours, peer, [name for name in names if name.endswith("/ell")], FLOAT32)
    assert_same(ours, peer, [name for name in names if name.endswith("/X")])


def test_training_rows_types_and_counts_agree(ours: Run, peer: Run, n_good: int) -> None:
    assert ours.texts("build/", "loaded/") == peer.texts("build/", "loaded/")
    stats = ours.documents["build/dl_ksz/ln/stats"]
    assert stats["skipped_inconsistent_ell"] == 1
    assert stats["skipped_non_finite"] == 2
    assert stats["processed"] == n_good + 1


def test_splits_and_batches_are_the_same_rows_in_the_same_order(ours: Run, peer: Run) -> None:
    assert_same(ours, peer, [name for name in peer.named("loaders/") if "indices" in name])
    assert_close(ours, peer, peer.named("loaders/", "standardizer"), FLOAT32, atol=1e-6)
    assert ours.texts("loaders/") == peer.texts("loaders/")


def test_training_histories_agree(ours: Run, peer: Run) -> None:
    names = peer.named("history/")
    assert_close(ours, peer, names, HISTORY)
    assert {name.rpartition("/")[2] for name in names} >= {"train_loss", "val_loss", "val_rmse"}
    assert len(ours.numbers["history/stopped/val_loss"]) < 200


def test_initial_and_trained_weights_agree(ours: Run, peer: Run) -> None:
    initial = [name for name in peer.named("weights/") if "/initial/" in name]
    assert_same(ours, peer, initial)
    assert_close(ours, peer, peer.named("weights/", "outputs/"), HISTORY, atol=1e-6)


def test_evaluation_and_single_epochs_agree(ours: Run, peer: Run) -> None:
    assert_close(ours, peer, peer.named("test/", "epochs/"), HISTORY)
    assert ours.texts("test/") == peer.texts("test/")


def test_folds_are_the_same_and_their_losses_agree(ours: Run, peer: Run) -> None:
    names = peer.named("folds/")
    assert_same(ours, peer, [name for name in names if name.endswith("indices")])
    assert_close(ours, peer, [name for name in names if "best_val" in name], HISTORY)
    assert_close(ours, peer, [name for name in names if name.endswith(("mean", "std"))], FLOAT32)
    assert set(peer.documents["folds/keys"]) <= set(ours.documents["folds/keys"])


@pytest.mark.parametrize("name", ["plain", "scaled"])
def test_dropout_predictions_agree_within_their_errors(ours: Run, peer: Run, name: str) -> None:
    assert ours.documents[f"mc/{name}/shapes"] == peer.documents[f"mc/{name}/shapes"]
    values = []
    for run in (ours, peer):
        samples = run.numbers[f"mc/{name}/samples"]
        assert np.allclose(np.log(samples), run.numbers[f"mc/{name}/logs"], rtol=1e-4, atol=1e-4)
        mean, std = (run.numbers[f"mc/{name}/{key}"] for key in ("mean", "std"))
        fourth = np.mean((samples - mean) ** 4, axis=0)
        n = len(samples)
        values.append((mean, std, std**2 / n, (fourth - std**4) / (4 * n * std**2)))
    for which in (0, 1):
        error = np.sqrt(values[0][which + 2] + values[1][which + 2])
        assert np.all(np.abs(values[0][which] - values[1][which]) < SIGMAS * error)


def test_dropout_evaluations_agree_within_their_scatter(ours: Run, peer: Run) -> None:
    names = peer.named("mc/evaluation/")
    assert "mc/evaluation/mean_predictive_std" in names
    for name in names:
        a, b = ours.numbers[name], peer.numbers[name]
        error = np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))
        assert 0 < abs(a.mean() - b.mean()) < SIGMAS * error, name


def test_documents_of_artifacts_agree(ours: Run, peer: Run) -> None:
    names = [name for name in peer.texts("artifact/") if not name.endswith("/files")]
    assert len(names) > 15
    for name in names:
        assert_document(ours.documents[name], peer.documents[name], name)


def test_artifacts_have_the_files_of_the_published_ones(ours: Run, peer: Run) -> None:
    for name, files in peer.texts("artifact/").items():
        if name.endswith("/files"):
            assert set(ours.documents[name]) - set(files) <= {
                "weights.safetensors",
                "provenance.json",
            }, name
            assert set(files) <= set(ours.documents[name]), name


def test_artifacts_hold_the_same_normalizers(ours: Run, peer: Run) -> None:
    assert_close(ours, peer, peer.named("artifact/"), FLOAT32)


def test_misuse_gives_the_same_kind_of_error(ours: Run, peer: Run) -> None:
    theirs = peer.texts("errors/")
    assert len(theirs) > 20
    for name, kinds in theirs.items():
        expected = OTHER_ERRORS.get(name) or kinds[0]
        assert expected in ours.documents[name], (name, ours.documents[name])


def assert_document(ours: Any, peer: Any, where: str) -> None:
    """The same values under the same keys; some things may be told more of here."""
    if not isinstance(peer, dict):
        assert ours == peer or where.endswith(VOLATILE), where
        assert type(ours) is type(peer), where
        return
    may_have_more = where.endswith(("dataset", "artifacts", "summary", "info"))
    may_have_more |= "/dataset_prep/" in where  # options that only this package has
    assert set(peer) <= set(ours), where
    assert may_have_more or set(peer) == set(ours), where
    for key, value in peer.items():
        assert_document(ours[key], value, f"{where}/{key}")
