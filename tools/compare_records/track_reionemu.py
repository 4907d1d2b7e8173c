"""This package, as it is in the environment that the comparison is started from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import LR, NO, PARTLY, YES, Outcome, Record, config_of, epoch_of, sha256, weights_of
from probes import Tracker
from processes import flip
from script import main
from track_peer import save, write_training_file

CLI = ("reionemu", "artifact")


class Reionemu(Tracker):
    name, module = "reionemu", "reionemu"

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        import numpy as np
        import torch

        import reionemu

        with reionemu.start_artifact(name, root, optimizer_config=config_of(lr)) as run:
            for epoch in epochs:
                run.log(epoch, epoch_of(lr, epoch))
            weights = torch.from_numpy(np.frombuffer(weights_of(lr), np.float32).copy())
            metrics = {key: values[-1] for key, values in run.history.items()}
            run.record(checkpoint={"weights": weights}, metrics=metrics)

    def read(self, root: Path) -> list[Record]:
        import reionemu

        paths = [(entry.name, entry.path) for entry in reionemu.catalogue(root)]
        if (root / ".history").is_dir():
            earlier = reionemu.catalogue(root / ".history")
            paths += [(str(Path(entry.name).parent), entry.path) for entry in earlier]
        return [self._read(name, path) for name, path in paths]

    def _read(self, name: str, path: Path) -> Record:
        from safetensors.numpy import load_file

        import reionemu

        artifact = reionemu.load_artifact(path)
        file = path / "weights.safetensors"
        weights = sha256(load_file(file)["weights"].tobytes()) if file.exists() else None
        config, history = artifact.configs["optimizer"], artifact.results["history"]
        return Record(name, config, history, weights, artifact.status)

    def probe_killed(self, work: Path) -> Outcome:
        outcome = super().probe_killed(work)
        broken, text = self.kills_while_saving(work)
        return Outcome(NO if broken else outcome.mark, f"{outcome.evidence}; {text}")

    def check(self, root: Path) -> str | None:
        done = self.tool(*CLI, "verify", str(root), cwd=root, check=False)
        return None if done.returncode == 0 else (done.stdout + done.stderr)[:200]

    def how_checked(self) -> str:
        return " (by `reionemu artifact verify`)"

    def facts(self, root: Path) -> dict[str, Any]:
        import reionemu

        provenance = reionemu.load_artifact(root / "facts").provenance
        code = provenance["code"] or {}
        return {
            "code": f"commit {str(code['commit'])[:10]}, dirty: {code['dirty']}" if code else None,
            "environment": ", ".join(" ".join(item) for item in provenance["software"].items()),
            "command": " ".join(Path(word).name for word in provenance["command"]),
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        folder = root / "plain"
        content = (folder / "weights.safetensors").read_bytes()
        length = int.from_bytes(content[:8], "little")
        begin, end = json.loads(content[8 : 8 + length])["weights"]["data_offsets"]
        config = json.loads((folder / "configs.json").read_text())["optimizer"]
        history = json.loads((folder / "results.json").read_text())["history"]
        weights = sha256(content[8 + length :][begin:end])
        return Record("", config, history, weights), "JSON and safetensors"

    def probe_compare(self, work: Path) -> Outcome:
        root = self.fresh(work)
        for i in range(5):
            self.save(root, f"run{i}", round(0.01 * (i + 1), 2))
        rules = ("optimizer.lr>0.025", "metrics.train_loss<0.095")
        found = self.tool(*CLI, "find", str(root), *rules, cwd=root).stdout
        named = [name for name in (f"run{i}" for i in range(5)) if name in found]
        text = f"`reionemu artifact find ROOT {' '.join(rules)}`: {named}"
        return Outcome(YES if named == ["run2", "run3"] else NO, text)

    def many(self, root: Path, n: str) -> int:
        for i in range(int(n)):
            save(root, f"many{i}", 0.01, {"train_loss": [1.0], "val_loss": [1.0]})
        return int(n)

    def listing(self, root: Path) -> list[str]:
        return [*CLI, "list", str(root)]

    def dataset(self, root: Path) -> list[str]:
        import reionemu

        found = []
        for last in (1.0, 2.0):
            write_training_file(root / "data.h5", last)
            save(root, "data", LR, {"train_loss": [1.0]}, dataset_path=root / "data.h5")
            found.append(reionemu.load_artifact(root / "data").info["dataset"]["content_sha256"])
        return found

    def probe_data_hash(self, work: Path) -> Outcome:
        one, other = self.ask("dataset", self.fresh(work))
        text = f"content_sha256 {one[:16]}..., of changed data {other[:16]}..."
        return Outcome(YES if one != other else NO, text)

    def _example(self, work: Path) -> tuple[Path, Path]:
        """The example suite, run from raw simulations to an artifact: (root, artifact)."""
        root = self.fresh(work)
        self.tool("reionemu", "example", "suite", cwd=root)
        self.tool("reionemu", "run", "suite/run.toml", cwd=root)
        return root, root / "suite" / "artifacts" / "example"

    def probe_lineage(self, work: Path) -> Outcome:
        _, artifact = self._example(work)
        lineage = json.loads((artifact / "provenance.json").read_text())["lineage"]
        steps = {each["step"]: each for each in lineage}
        rows = {part: len(rows) for part, rows in steps["split"]["indices"].items()}
        text = (
            f"provenance.json after `reionemu run`: {' -> '.join(steps)}; rows of the split {rows}"
        )
        return Outcome(YES if len(steps) == 6 and sum(rows.values()) else PARTLY, text)

    def probe_self_test(self, work: Path) -> Outcome:
        """A recorded prediction is changed and the seal made to fit: only a replay can tell."""
        _, artifact = self._example(work)
        whole = self.check(artifact)
        self.ask("forge", artifact)
        said = " ".join((self.check(artifact) or "nothing").split())
        text = f"a stored prediction changed by 0.1 %, the seal made to fit: `verify` says {said!r}"
        return Outcome(YES if whole is None and "self-test" in said else NO, text)

    def forge(self, artifact: Path) -> None:
        from reionemu.artifact.formats.jsonio import read_json
        from reionemu.artifact.provenance import seal

        document = read_json(artifact / "provenance.json")
        document["self_test"]["mean"][0][0] *= 1.001
        (artifact / "provenance.json").write_bytes(seal(document))

    def probe_one_file(self, work: Path) -> Outcome:
        root, other = self.fresh(work), self.fresh(work)
        self.save(root, "shared")
        file = work / "shared.zip"
        self.tool(*CLI, "export", str(root / "shared"), "--out", str(file), cwd=root)
        self.tool(*CLI, "import", str(file), str(other), cwd=other)
        same = self.records(other) == self.records(root)
        size, refused = file.stat().st_size, 0
        for turn in range(20):
            offset = size * turn // 20
            flip(file, offset)
            done = self.tool(
                *CLI, "import", str(file), str(other), "--name", "x", cwd=other, check=False
            )
            refused += done.returncode != 0 and not (other / "x").exists()
            flip(file, offset)
        text = f"export to a zip, import elsewhere: the same: {same}; {refused} of 20 flips refused"
        return Outcome(YES if same and refused == 20 else PARTLY, text)

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        (root / "planted" / "weights.safetensors").unlink()
        (root / "planted" / "model.pt").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        try:
            said = self.ask("open", root)
        except Exception as error:
            said = "refused: " + str(error).partition(": ")[2].partition("model.pt ")[2][:70]
        for words in ("verify", "list", "show"):
            target = root / "planted" if words == "show" else root
            self.tool(*CLI, words, str(target), cwd=root, check=False)
        ran = bool(list(root.rglob("RAN")))
        return Outcome(
            NO if ran else YES, f"a planted pickle as model.pt: {said}; nothing ran: {not ran}"
        )

    def open(self, root: Path) -> str:
        import reionemu

        return str(reionemu.load_artifact(root / "planted").model())

    def train(self, root: Path, name: str, stop: str) -> dict[str, Any]:
        """Twenty epochs; if told to, the process dies after the tenth. Resumes where it can."""
        import torch

        import reionemu

        data = root / "data.h5"
        config = reionemu.FitConfig(epochs=20, seed=3)
        loaders, _, _ = reionemu.make_dataloaders(data, split={"train": 0.8, "val": 0.2})
        torch.manual_seed(1)
        model = reionemu.MCDropoutEmulator(hidden_dim=16, dropout_rate=0.1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

        def die(epoch: int, values: Any) -> None:
            if epoch == int(stop):
                os._exit(9)

        with reionemu.start_artifact(
            name, root, dataset_path=data, fit_config=config, resume=True, state_seconds=0
        ) as run:
            history = reionemu.fit(
                model,
                loaders["train"],
                loaders["val"],
                optimizer,
                torch.nn.MSELoss(),
                config,
                on_epoch=die,
                record=run,
            )
            run.record(checkpoint=model.state_dict())
        weights = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
        return {"history": history, "weights": sha256(weights), "resumed": run.resumed}

    def probe_resume(self, work: Path) -> Outcome:
        root, _ = self._example(work)
        (data,) = (root / "suite").rglob("*.h5")
        shutil.copy(data, root / "data.h5")
        whole = self.ask("train", root, "whole", "0")
        with contextlib.suppress(Exception):
            self.ask("train", root, "halves", "10")
        halves = self.ask("train", root, "halves", "0")
        same = whole["weights"] == halves["weights"] and whole["history"] == halves["history"]
        text = (
            f"killed after epoch 10 of 20, resumed: {halves['resumed']}; weights and history equal "
            f"to one go, bit for bit: {same}"
        )
        return Outcome(YES if same and halves["resumed"] else NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "schema")
        versions = {
            path.name: json.loads(path.read_text()).get("schema_version")
            for path in sorted((root / "schema").glob("*.json"))
        }
        published = self.tool(*CLI, "schema", "info", cwd=root).stdout
        there = "$schema" in json.loads(published)
        text = (
            f"versions {versions}; `reionemu artifact schema` prints JSON Schemas; docs/formats.md"
        )
        return Outcome(YES if there and all(versions.values()) else PARTLY, text)


if __name__ == "__main__":
    main(Reionemu())
