"""Names of artifacts: none leads out of the root, into an artifact, or over a folder of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import reionemu
from reionemu.errors import RecordError

HOSTILE = [
    "../x",
    "/abs",
    "",
    " /../../x",
    ".",
    "..",
    ".hidden",
    ".history",
    ".history/run",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    "/",
    "a/.hidden",
    "x\0y",
    "con\nfig",
    "tab\tname",
    "\x1b[31mred",
    "half\ud800",
    "n" * 201,
    "é" * 101,
    "a/" * 600 + "b",
    "back\\slash",
    "..\\x",
    "\u202egnp",
    "info.json",
    "a/results.json",
    "configs.json/a",
    "provenance.json",
    "20261123T150346.123456Z-1a2b3c4d",
    "20261123T150346.123456Z-1a2b3c4d/run",
]

REASONS = {
    "": "it is empty, or has an empty part",
    "a//b": "it is empty, or has an empty part",
    "a/.b": "'.b' begins with a dot",
    "tab\tname": r"a character that does not print, '\t'",
    "back\\slash": "a backslash",
    "é" * 101: "takes more than 200 bytes",
    "a/" * 600 + "b": "more than 1000 characters",
    "a/info.json": "'info.json' is the name of a file in every record",
    "20261123T150346.123456Z-1a2b3c4d": "is how earlier records and runs are named",
}


@pytest.mark.parametrize("name", REASONS, ids=ascii)
def test_the_reason_is_the_true_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot name an artifact") as caught:
        reionemu.save_artifact(name, tmp_path)
    assert REASONS[name] in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("make", [reionemu.save_artifact, reionemu.create_artifact_dir])
@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_and_leaves_nothing(
    name: str, make: Callable, tmp_path: Path, snapshot: Callable
) -> None:
    root = tmp_path / "outside" / "root"
    root.mkdir(parents=True)
    before = snapshot(tmp_path)
    with pytest.raises(ValueError, match="cannot name an artifact") as caught:
        make(name, root)
    assert isinstance(caught.value, RecordError)
    assert snapshot(tmp_path) == before
    assert not Path("/abs").exists()


@pytest.mark.parametrize("name", [None, 3, b"run", Path("run")])
def test_a_name_must_be_text(name: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot name an artifact"):
        reionemu.save_artifact(name, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [reionemu.save_artifact, reionemu.create_artifact_dir])
@pytest.mark.parametrize("name", ["link", "link/run", "folder/link", "folder/link/run"])
def test_a_link_that_leads_out_is_refused(
    name: str, make: Callable, tmp_path: Path, snapshot: Callable
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root" / "folder").mkdir(parents=True)
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "folder" / "link").symlink_to("../../outside")
    before = snapshot(tmp_path)
    with pytest.raises(RecordError, match="leads out"):
        make(name, tmp_path / "root")
    assert snapshot(tmp_path) == before


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "root").symlink_to("scratch")
    path = reionemu.save_artifact("run", tmp_path / "root")
    assert path == tmp_path / "root" / "run"
    assert (tmp_path / "scratch" / "run" / "info.json").is_file()


@pytest.mark.parametrize(
    "name",
    ["a/b", "a/b/c", "run 1", "é", "a..b", "x.y-z_0", "{a} (b), 100%!", "info.json5", "n" * 200],
)
def test_an_honest_name_is_the_path_below_the_root(name: str, tmp_path: Path) -> None:
    path = reionemu.save_artifact(name, tmp_path / "new" / "root", description="first")
    assert path == tmp_path / "new" / "root" / name
    info = reionemu.read_json(path / "info.json")
    assert info["run_id"] == info["experiment_name"] == name
    reionemu.save_artifact(name, tmp_path / "new" / "root", description="second")
    assert reionemu.load_artifact(path).info["description"] == "second"
    assert len(list((tmp_path / "new" / "root" / ".history" / name).iterdir())) == 1


def test_a_name_inside_another_artifact_is_refused(tmp_path: Path, snapshot: Callable) -> None:
    reionemu.save_artifact("a", tmp_path)
    before = snapshot(tmp_path)
    for name in ("a/b", "a/b/c"):
        with pytest.raises(RecordError, match="lies inside another artifact"):
            reionemu.save_artifact(name, tmp_path)
    assert snapshot(tmp_path) == before


def test_a_folder_of_artifacts_is_not_replaced(tmp_path: Path, snapshot: Callable) -> None:
    reionemu.save_artifact("a/b/c", tmp_path)
    before = snapshot(tmp_path)
    for name in ("a", "a/b"):
        with pytest.raises(RecordError, match="a folder of other artifacts"):
            reionemu.save_artifact(name, tmp_path)
    assert snapshot(tmp_path) == before


def test_create_artifact_dir_and_the_helpers_make_a_whole_artifact(
    tmp_path: Path, four_param: object, dataset: Path, theta: object
) -> None:
    _, normalizers, _ = reionemu.make_dataloaders(dataset)
    folder = reionemu.create_artifact_dir("by hand", tmp_path / "root")
    assert reionemu.create_artifact_dir("by hand", tmp_path / "root") == folder
    files = {
        "configs": reionemu.save_configs(
            folder,
            dataloader_config=reionemu.DataLoaderConfig(),
            model_config=four_param.record(),
        ),
        "results": reionemu.save_results(folder, metrics={"rmse": 0.1}, status="stopped"),
        "normalizers": reionemu.save_normalizers(folder, normalizers),
        "model_checkpoint": reionemu.save_model_checkpoint(folder, four_param.state_dict()),
    }
    names = {key: path.name for key, path in files.items()}
    reionemu.save_info(folder, run_id="by hand", dataset_path=dataset, artifacts=names)
    artifact = reionemu.load_artifact(folder)
    assert artifact.results["status"] == "stopped"
    assert artifact.info["artifacts"] == names
    whole = reionemu.save_artifact(
        "at once",
        tmp_path / "root",
        dataset_path=dataset,
        dataloader_config=reionemu.DataLoaderConfig(),
        normalizers=normalizers,
        checkpoint=four_param.state_dict(),
    )
    mean = reionemu.load_artifact(whole).emulator().predict(theta).mean
    assert (artifact.emulator().predict(theta).mean == mean).all()
