"""Sacred with its FileStorageObserver: a numbered folder of JSON files for each run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import NO, PARTLY, YES, Outcome, Record, config_of, epoch_of, sha256, weights_of
from probes import Tracker
from script import main


class Sacred(Tracker):
    name, module = "Sacred", "sacred"
    pause = 1.5  # metrics are written every 10 s

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        experiment = self._experiment(root, name, lr)

        @experiment.main
        def train(_run: Any) -> None:
            for epoch in epochs:
                for key, value in epoch_of(lr, epoch).items():
                    _run.log_scalar(key, value, epoch)
            with tempfile.TemporaryDirectory() as folder:
                weights = Path(folder, "weights.bin")
                weights.write_bytes(weights_of(lr))
                _run.add_artifact(weights)

        experiment.run_commandline(["train.py", "with", f"lr={lr}"])

    def _experiment(self, root: Path, name: str, lr: float) -> Any:
        from sacred import Experiment
        from sacred.observers import FileStorageObserver

        experiment = Experiment(name, interactive=True, save_git_info=True)
        experiment.observers.append(FileStorageObserver(root / "runs"))
        experiment.add_config(config_of(lr))
        return experiment

    def read(self, root: Path) -> list[Record]:
        return [self._read(path.parent) for path in sorted(root.glob("runs/*/run.json"))]

    def _read(self, folder: Path) -> Record:
        run = json.loads((folder / "run.json").read_text())
        metrics = folder / "metrics.json"
        found = json.loads(metrics.read_text()) if metrics.exists() else {}
        history = {key: list(entry["values"]) for key, entry in found.items()}
        weights = folder / "weights.bin"
        kept = sha256(weights.read_bytes()) if weights.exists() else None
        config = json.loads((folder / "config.json").read_text())
        return Record(run["experiment"]["name"], config, history, kept, run["status"])

    def probe_status(self, work: Path) -> Outcome:
        outcome = super().probe_status(work)
        beat = "a heartbeat time is recorded, from whose age a reader may guess"
        return Outcome(
            PARTLY if outcome.mark == NO else outcome.mark, f"{outcome.evidence}; {beat}"
        )

    def how_checked(self) -> str:
        return " (by reading the JSON files; Sacred has no reader or check)"

    def facts(self, root: Path) -> dict[str, Any]:
        run = json.loads(next(root.glob("runs/*/run.json")).read_text())
        experiment = run["experiment"]
        commits = [each["commit"] for each in experiment["repositories"]]
        options = {key: value for key, value in run["meta"]["options"].items() if value}
        return {
            "code": f"{len(experiment['sources'])} source files copied, commit {commits}",
            "environment": f"Python {run['host']['python_version']}, {experiment['dependencies']}",
            "command": f"{run['command']} {options}",
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        return self.read(root)[0], "JSON, and files as they were"

    def probe_compare(self, work: Path) -> Outcome:
        experiment = self.ask("commands", self.fresh(work))
        text = f"commands of an experiment: {', '.join(experiment)}; reading runs is left to others"
        return Outcome(NO, text)

    def commands(self, root: Path) -> list[str]:
        return sorted(name for name, _ in self._experiment(root, "x", 0.1).gather_commands())

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        return Outcome("no command", "Sacred writes records; listing is left to other projects")

    def resources(self, root: Path) -> list[str]:
        import numpy as np

        X = np.arange(60_000.0).reshape(20_000, 3)
        changed, found = X.copy(), []
        changed[-1] += 1
        for rows in (X, changed):
            np.save(root / "data.npy", rows)
            experiment = self._experiment(root, "data", 0.1)

            @experiment.main
            def train(_run: Any) -> None:
                with _run.open_resource(root / "data.npy", "rb") as data:
                    data.read()

            run = experiment.run()
            entry = json.loads((root / "runs" / run._id / "run.json").read_text())["resources"]
            found.append(Path(entry[0][1]).name)
        return found

    def probe_data_hash(self, work: Path) -> Outcome:
        one, other = self.ask("resources", self.fresh(work))
        text = f"open_resource keeps a copy named by MD5: {one}, changed: {other}"
        return Outcome(YES if one != other else NO, text)

    def probe_lineage(self, work: Path) -> Outcome:
        text = (
            "files opened with open_resource are listed; steps and rows only as the caller's info"
        )
        return Outcome(PARTLY if self.ask("resources", self.fresh(work)) else NO, text)

    def probe_self_test(self, work: Path) -> Outcome:
        return Outcome(NO, f"commands: {', '.join(self.ask('commands', self.fresh(work)))}")

    def probe_one_file(self, work: Path) -> Outcome:
        return Outcome(NO, f"commands: {', '.join(self.ask('commands', self.fresh(work)))}")

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        evil = {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["touch RAN"]}]}
        (root / "config.json").write_text(json.dumps({"lr": 0.1, "model": evil}))
        try:
            said = self.ask("rerun", root)
        except Exception as error:
            said = str(error)
        if (root / "RAN").exists():
            text = (
                "the files are JSON, but `with config.json`, given a planted config, ran a command"
            )
            return Outcome(NO, text)
        return Outcome(YES, f"a planted config.json, used again with `with config.json`: {said}")

    def rerun(self, root: Path) -> str:
        experiment = self._experiment(root, "again", 0.1)
        experiment.main(lambda: None)
        experiment.run_commandline(["train.py", "with", "config.json"])
        return "no command ran"

    def probe_resume(self, work: Path) -> Outcome:
        commands = self.ask("commands", self.fresh(work))
        text = f"a run cannot be opened again; commands: {', '.join(commands)}"
        return Outcome(NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "schema")
        run = json.loads(next(root.glob("runs/*/run.json")).read_text())
        versions = [key for key in run if "version" in key or "format" in key or "schema" in key]
        text = f"keys of run.json: {', '.join(sorted(run))}; a version: {versions or 'none'}"
        return Outcome(PARTLY if versions else NO, text)


if __name__ == "__main__":
    main(Sacred())
