"""The published package of the same name: a folder of JSON and PyTorch files, saved at the end."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import (
    LR,
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
from script import main


def save(root: Path, name: str, lr: float, history: dict[str, list[float]], **more: Any) -> Any:
    import numpy as np
    import torch

    from reionemu import save_artifact

    weights = torch.from_numpy(np.frombuffer(weights_of(lr), np.float32).copy())
    return save_artifact(
        name,
        root,
        optimizer_config=config_of(lr),
        history=history,
        metrics={key: values[-1] for key, values in history.items()},
        checkpoint={"weights": weights},
        **more,
    )


def history_of(lr: float, epochs: Iterator[int]) -> dict[str, list[float]]:
    history: dict[str, list[float]] = {}
    for epoch in epochs:
        for key, value in epoch_of(lr, epoch).items():
            history.setdefault(key, []).append(value)
    return history


def write_training_file(path: Path, last: float) -> None:
    """20,000 rows of training data; `last` is a target of the last of them."""
    import h5py
    import numpy as np

    X, Y = np.arange(80_000.0).reshape(-1, 4), np.arange(100_000.0).reshape(-1, 5)
    Y[-1, -1] = last
    with h5py.File(path, "w") as h5:
        group = h5.create_group("training")
        group["X"], group["Y"] = X.astype("f4"), Y.astype("f4")
        group["ell"] = np.linspace(1500.0, 9500.0, 5)
        text = h5py.string_dtype("utf-8")
        group.create_dataset("sim_ids", data=[f"sim{i}" for i in range(len(X))], dtype=text)
        names = ["zmean_zre", "alpha_zre", "kb_zre", "b0_zre"]
        group.create_dataset("param_names", data=names, dtype=text)
        group.attrs.update(y_source="dl_ksz", y_transform="ln", eps=1e-30)
        group.attrs.update(number_of_samples=len(X), number_of_parameters=4, ell_bin_count=5)


class Peer(Tracker):
    name, module = "reionemu 0.4.0", "reionemu"
    saves_at_the_end = True

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        save(root, name, lr, history_of(lr, epochs))

    def read(self, root: Path) -> list[Record]:
        return [self._read(path.parent) for path in sorted(root.glob("*/configs.json"))]

    def _read(self, folder: Path) -> Record:
        import torch

        from reionemu import read_json

        info, results = read_json(folder / "info.json"), read_json(folder / "results.json")
        weights = torch.load(folder / "model.pt", weights_only=True)["weights"]
        config = read_json(folder / "configs.json")["optimizer"]
        kept = sha256(weights.numpy().tobytes())
        return Record(info["run_id"], config, results["history"], kept, results.get("status"))

    def probe_killed(self, work: Path) -> Outcome:
        broken, text = self.kills_while_saving(work)
        return Outcome(NO if broken else PARTLY, f"nothing is recorded before the end; {text}")

    def probe_status(self, work: Path) -> Outcome:
        return Outcome(NO, "nothing is recorded of a run that has not ended")

    def facts(self, root: Path) -> dict[str, Any]:
        (folder,) = (path.parent for path in root.glob("*/info.json"))
        text = "".join(
            (folder / f"{part}.json").read_text() for part in ("info", "results", "configs")
        )
        kinds = {"code": "commit", "environment": "torch", "command": "argv"}
        return {kind: word if word in text else None for kind, word in kinds.items()}

    def plain(self, root: Path) -> tuple[Record, str]:
        (folder,) = (path.parent for path in root.glob("*/info.json"))
        config = json.loads((folder / "configs.json").read_text())["optimizer"]
        history = json.loads((folder / "results.json").read_text())["history"]
        return Record("", config, history), "JSON; the weights are a PyTorch pickle"

    def _names(self, words: str) -> list[str]:
        import reionemu

        return [name for name in dir(reionemu) if any(word in name for word in words.split())]

    def names(self, root: Path, words: str) -> list[str]:
        return self._names(words)

    def _absent(self, work: Path, words: str) -> Outcome:
        found = self.ask("names", self.fresh(work), words)
        return Outcome(NO, f"names in reionemu that hold {' or '.join(words.split())}: {found}")

    def probe_compare(self, work: Path) -> Outcome:
        return self._absent(work, "catalogue compare find list")

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        return Outcome("no command", self._absent(work, "catalogue list find").evidence)

    def dataset(self, root: Path) -> list[str]:
        found = []
        for last in (1.0, 2.0):
            write_training_file(root / "data.h5", last)
            path = Path(
                save(root, f"data{last}", LR, {"train_loss": [1.0]}, dataset_path=root / "data.h5")
            )
            dataset = json.loads((path / "info.json").read_text())["dataset"]
            found.append(
                json.dumps({k: v for k, v in dataset.items() if "sha" in k or "hash" in k})
            )
        return [*found, ", ".join(dataset), ", ".join(dataset["fingerprint"])]

    def probe_data_hash(self, work: Path) -> Outcome:
        one, other, _, fingerprint = self.ask("dataset", self.fresh(work))
        text = (
            f"hashes in info.json: {one}, of changed data {other}; its fingerprint: {fingerprint}"
        )
        return Outcome(YES if one != other else NO, text)

    def probe_lineage(self, work: Path) -> Outcome:
        root = self.fresh(work)
        keys = self.ask("dataset", root)[2]
        configs = json.loads(next(root.glob("*/configs.json")).read_text())
        text = f"configs.json: {', '.join(configs)}; dataset: {keys}; no rows of the split"
        return Outcome(PARTLY, text)

    def probe_self_test(self, work: Path) -> Outcome:
        return self._absent(work, "verify test replay")

    def probe_one_file(self, work: Path) -> Outcome:
        return self._absent(work, "export import_ bundle")

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        (root / "planted" / "model.pt").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        said = "read"
        try:
            self.records(root)
        except ProbeError:
            said = "refused"
        ran = bool(list(root.rglob("RAN")))
        text = f"JSON; model.pt is left to the caller: torch.load(weights_only=True): {said}"
        return Outcome(NO if ran else PARTLY, text)

    def signature(self, root: Path) -> list[str]:
        from reionemu import fit

        return list(inspect.signature(fit).parameters)

    def probe_resume(self, work: Path) -> Outcome:
        return Outcome(
            NO, f"parameters of fit: {', '.join(self.ask('signature', self.fresh(work)))}"
        )

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "schema")
        version = json.loads((root / "schema" / "info.json").read_text()).get("schema_version")
        return Outcome(PARTLY, f"info.json says schema_version {version}; no schema is published")


if __name__ == "__main__":
    main(Peer())
