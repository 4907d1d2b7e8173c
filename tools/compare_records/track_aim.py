"""Aim: a repository of RocksDB stores, read through its index."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import NO, PARTLY, YES, Outcome, Record, config_of, epoch_of, sha256, weights_of
from probes import Tracker
from processes import sqlite_rows
from script import main


class Aim(Tracker):
    name, module = "Aim", "aim"

    def prepare(self, root: Path) -> None:
        super().prepare(root)
        self.tool("aim", "init", "--yes", cwd=root)

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        run = self._begin(root, name, lr)
        for epoch in epochs:
            run.track(epoch_of(lr, epoch), step=epoch)
        with tempfile.TemporaryDirectory() as folder:
            weights = Path(folder, "weights.bin")
            weights.write_bytes(weights_of(lr))
            run.log_artifact(str(weights), name="weights.bin")
        run.close()

    def _begin(self, root: Path, name: str, lr: float, **options: Any) -> Any:
        from aim import Run

        run = Run(repo=str(root), experiment="comparison", system_tracking_interval=None, **options)
        run.name = name
        run.set_artifacts_uri(f"file://{root / 'artifacts'}")
        run["hparams"] = config_of(lr)
        return run

    def read(self, root: Path) -> list[Record]:
        """Runs are found through the index, which `aim storage reindex` (or `aim up`) writes."""
        from aim import Repo

        done = self.tool("aim", "storage", "reindex", "--yes", cwd=root, check=False)
        if done.returncode:
            raise RuntimeError(f"aim storage reindex: {done.stderr.strip()[-120:]}")
        found = []
        for run in Repo.from_path(str(root)).iter_runs():
            history = {}
            for metric in run.metrics():
                rows = sorted((step, columns[0]) for step, columns in metric.data.items())
                history[metric.name] = [float(value) for _, value in rows]
            status = "active" if run.active else "ended"
            weights = self._weights(run)
            found.append(Record(run.name, dict(run["hparams"]), history, weights, status))
        return found

    def _weights(self, run: Any) -> str | None:
        artifact = run.artifacts.get("weights.bin")
        if artifact is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            try:
                return sha256(Path(artifact.download(folder)).read_bytes())
            except OSError:
                return None

    def flip_places(self, root: Path, kind: str) -> list[tuple[Path, int]]:
        places = super().flip_places(root, kind)
        return [place for place in places if "index" not in place[0].parts] or places

    def check(self, root: Path) -> str | None:
        if complaint := super().check(root):
            return complaint
        return self.ask("corrupted", root) or None

    def corrupted(self, root: Path) -> str:
        from aim import Repo

        return ", ".join(Repo.from_path(str(root)).list_corrupted_runs())

    def how_checked(self) -> str:
        return " (by reading and Repo.list_corrupted_runs)"

    def facts(self, root: Path) -> dict[str, Any]:
        from aim import Repo

        (run,) = Repo.from_path(str(root)).iter_runs()
        found = run.get("__system_params") or {}
        return {
            "code": found.get("git_info"),
            "environment": len(found.get("packages") or {}) or None,
            "command": found.get("arguments"),
        }

    def probe_facts(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "plainly")
        self.tool("aim", "storage", "reindex", "--yes", cwd=root)
        unasked = self.ask("facts", root)
        root = self.fresh(work)
        kept = self.ask("with_system_params", root)
        text = f"unasked: {unasked}; with log_system_params=True: {', '.join(kept)}"
        if "env_variables" in kept:
            text += " (environment variables too)"
        return Outcome(YES if all(unasked.values()) else PARTLY if kept else NO, text)

    def with_system_params(self, root: Path) -> list[str]:
        run = self._begin(root, "asked", 0.1, log_system_params=True)
        return sorted(key for key, value in run["__system_params"].items() if value)

    def plain(self, root: Path) -> tuple[Record, str]:
        names = [
            row[0] for row in sqlite_rows(root / ".aim/run_metadata.sqlite", "select name from run")
        ]
        (weights,) = root.glob("artifacts/*/weights.bin")
        return Record(
            names[0], {}, {}, sha256(weights.read_bytes())
        ), "the rest is in RocksDB stores"

    def compare(self, root: Path) -> list[str]:
        from aim import Repo

        rule = "run.hparams.lr > 0.025 and run.metrics['train_loss'].last < 0.095"
        found = Repo.from_path(str(root)).query_runs(rule, report_mode=0).iter_runs()
        return sorted(each.run.name for each in found)

    def probe_compare(self, work: Path) -> Outcome:
        root = self.fresh(work)
        for i in range(5):
            self.save(root, f"run{i}", round(0.01 * (i + 1), 2))
        self.tool("aim", "storage", "reindex", "--yes", cwd=root)
        found = self.ask("compare", root)
        return Outcome(YES if found == ["run2", "run3"] else NO, f"repo.query_runs(...): {found}")

    def many(self, root: Path, n: str) -> int:
        for i in range(int(n)):
            run = self._begin(root, f"many{i}", 0.01, capture_terminal_logs=False)
            run.track(epoch_of(0.01, 1), step=1)
            run.close()
        self.tool("aim", "storage", "reindex", "--yes", cwd=root)
        return int(n)

    def listing(self, root: Path) -> list[str]:
        return ["aim", "runs", "ls"]

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        outcome = super().probe_listing(work, runs)
        return Outcome(outcome.mark, f"{outcome.evidence}: their hashes, no names or values")

    def probe_data_hash(self, work: Path) -> Outcome:
        types = self.ask("object_types", self.fresh(work))
        return Outcome(
            NO, f"objects of aim.sdk.objects: {', '.join(types)}; none is a hashed array"
        )

    def object_types(self, root: Path) -> list[str]:
        import aim.sdk.objects as objects

        return sorted(name for name in dir(objects) if name[0].isupper())

    def probe_lineage(self, work: Path) -> Outcome:
        types = self.ask("object_types", self.fresh(work))
        text = (
            "no type for a data set or a step in aim.sdk.objects; values the caller logs are kept"
        )
        return Outcome(NO if any("Data" in name for name in types) else PARTLY, text)

    def _commands(self, words: str, work: Path) -> list[str]:
        groups = (("aim", "--help"), ("aim", "runs", "--help"), ("aim", "storage", "--help"))
        return self.commands_with(words, *groups, cwd=work)

    def probe_self_test(self, work: Path) -> Outcome:
        return Outcome(NO, f"commands for it: {self._commands('verify test replay check', work)}")

    def probe_one_file(self, work: Path) -> Outcome:
        there = self._commands("export import cp mv upload", work)
        return Outcome(PARTLY, f"no one file, no check; between repositories: {'; '.join(there)}")

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        (weights,) = root.glob("artifacts/*/weights.bin")
        weights.write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        self.records(root)
        ran = bool(list(root.rglob("RAN")))
        text = f"a planted pickle ran: {ran}; values are decoded by type, artifacts copied"
        return Outcome(NO if ran else YES, text)

    def half(self, root: Path) -> str:
        run = self._begin(root, "resumed", 0.01)
        for epoch in range(1, 11):
            run.track(epoch_of(0.01, epoch), step=epoch)
        return run.hash

    def rest(self, root: Path, run_hash: str) -> int:
        from aim import Run

        run = Run(run_hash=run_hash, repo=str(root))
        for epoch in range(11, 21):
            run.track(epoch_of(0.01, epoch), step=epoch)
        run.close()
        return self.read(root)[0].epochs

    def probe_resume(self, work: Path) -> Outcome:
        root = self.fresh(work)
        epochs = self.ask("rest", root, self.ask("half", root))
        text = f"Run(run_hash=...): {epochs} epochs in one run; state is the caller's to keep"
        return Outcome(PARTLY if epochs == 20 else NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        version = (root / ".aim" / "VERSION").read_text().strip()
        return Outcome(PARTLY, f".aim/VERSION is {version}")


if __name__ == "__main__":
    main(Aim())
