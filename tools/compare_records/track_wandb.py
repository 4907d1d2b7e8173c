"""Weights & Biases, offline: runs are written to a folder, and read with `wandb leet inspect`."""

from __future__ import annotations

import json
import subprocess
import sys
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
from script import main

LOST = "offline, `wandb --help` has no command that does it"


class Wandb(Tracker):
    name, module = "W&B offline", "wandb"
    pause = 1.5  # the log is flushed about every 15 s

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        import wandb

        with wandb.init(project="comparison", name=name, config=config_of(lr), dir=root) as run:
            for epoch in epochs:
                run.log(epoch_of(lr, epoch), step=epoch)
            weights = Path(run.dir, "weights.bin")
            weights.write_bytes(weights_of(lr))
            run.save(str(weights), base_path=run.dir)

    def read(self, root: Path) -> list[Record]:
        return [self._read(folder) for folder in sorted(root.glob("wandb/offline-run-*"))]

    def _read(self, folder: Path) -> Record:
        summary = self._inspect(folder, "--summary", "--json")
        lines = self._inspect(folder, "--json")
        rows = [line["history"]["item"] for line in lines if line.get("type") == "history"]
        history = {
            key: [float(row[key]) for row in rows] for key in ("train_loss", "val_loss") if rows
        }
        weights = folder / "files" / "weights.bin"
        kept = sha256(weights.read_bytes()) if weights.exists() else None
        return Record(summary["name"], summary["config"], history, kept, summary["state"])

    def _inspect(self, folder: Path, *options: str) -> Any:
        words = ("wandb", "leet", "inspect", *options, str(folder))
        done = subprocess.run(
            [str(Path(sys.executable).parent / "wandb"), *words[1:]], capture_output=True, text=True
        )
        if done.returncode or done.stderr.strip():
            raise ProbeError(f"wandb leet inspect: {(done.stderr or done.stdout).strip()[-150:]}")
        if "--summary" in options:
            return json.loads(done.stdout)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def flip_places(self, root: Path, kind: str) -> list[tuple[Path, int]]:
        places = super().flip_places(root, kind)
        return [place for place in places if place[0].suffix == ".wandb"] or places

    def facts(self, root: Path) -> dict[str, Any]:
        (folder,) = root.glob("wandb/offline-run-*")
        lines = self._inspect(folder, "--json")
        about = {k: v for line in lines for k, v in line.get("environment", {}).items()}
        packages = folder / "files" / "requirements.txt"
        count = len(packages.read_text().splitlines()) if packages.exists() else 0
        return {
            "code": about.get("git"),
            "environment": f"{about.get('python')}, {count} packages" if count else None,
            "command": f"{Path(about['program']).name} {about.get('args')}" if about else None,
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        (folder,) = root.glob("wandb/offline-run-*")
        weights = sha256((folder / "files" / "weights.bin").read_bytes())
        text = b"".join(p.read_bytes() for p in folder.rglob("*.yaml"))
        config = {"lr": config_of(0.0123456789)["lr"]} if b"0.0123456789" in text else {}
        return Record("", config, {}, weights), "the rest is in a binary log (.wandb)"

    def probe_compare(self, work: Path) -> Outcome:
        root = self.fresh(work)
        for i in range(5):
            self.save(root, f"run{i}", round(0.01 * (i + 1), 2))
        names = [record.name for record in self.records(root)]
        helps = (("wandb", "--help"), ("wandb", "leet", "--help"))
        there = self.commands_with("ls list filter search compare query", *helps, cwd=root)
        text = f"{len(names)} runs read one by one with `leet inspect`; commands to filter: {there}"
        return Outcome(PARTLY if len(names) == 5 and not there else NO, text)

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        there = self.commands_with("ls list runs", ("wandb", "--help"), cwd=work)
        return Outcome(
            "no command", f"listing commands in `wandb --help`: {there}; leet is a screen"
        )

    def artifact(self, root: Path) -> list[str]:
        import numpy as np
        import wandb

        X = np.arange(60_000.0).reshape(20_000, 3)
        changed, found = X.copy(), []
        changed[-1] += 1
        for rows in (X, changed):
            np.save(root / "data.npy", rows)
            with wandb.init(project="comparison", dir=root) as run:
                data = wandb.Artifact("data", type="dataset")
                data.add_file(str(root / "data.npy"))
                run.log_artifact(data)
            found.append(data.digest)
        return found

    def probe_data_hash(self, work: Path) -> Outcome:
        root = self.fresh(work)
        one, other = self.ask("artifact", root)
        kept = any(one in str(self._inspect(p, "--json")) for p in root.glob("wandb/offline-run-*"))
        text = f"Artifact.add_file: digest {one}, changed {other}; in the offline log: {kept}"
        return Outcome(YES if one != other and kept else PARTLY, text)

    def used(self, root: Path) -> str:
        import wandb

        with wandb.init(project="comparison", dir=root) as run:
            try:
                run.use_artifact("data:latest")
            except Exception as error:
                return f"{type(error).__name__}: {error}"[:100]
        return "worked"

    def probe_lineage(self, work: Path) -> Outcome:
        said = self.ask("used", self.fresh(work))
        mark = YES if said == "worked" else PARTLY
        return Outcome(mark, f"artifacts going out are logged; run.use_artifact offline: {said}")

    def probe_self_test(self, work: Path) -> Outcome:
        there = self.commands_with("verify replay test", ("wandb", "--help"), cwd=work)
        return Outcome(NO, f"commands for it: {there} (`verify` checks a server)")

    def probe_one_file(self, work: Path) -> Outcome:
        there = self.commands_with("export import bundle", ("wandb", "--help"), cwd=work)
        return Outcome(
            NO, f"commands for it in `wandb --help`: {there}; `sync` uploads to a server"
        )

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        (folder,) = root.glob("wandb/offline-run-*")
        (folder / "files" / "weights.bin").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        config = "lr: !!python/object/apply:os.system ['touch RAN']\n"
        (folder / "files" / "config.yaml").write_text(config)
        self.records(root)
        ran = bool(list(root.rglob("RAN")))
        return Outcome(NO if ran else YES, f"a planted YAML or pickle ran: {ran}; protobuf")

    def half(self, root: Path) -> str:
        import wandb

        with wandb.init(project="comparison", name="resumed", dir=root, id="halves") as run:
            for epoch in range(1, 11):
                run.log(epoch_of(0.01, epoch), step=epoch)
        return "halves"

    def rest(self, root: Path) -> int:
        import wandb

        with wandb.init(project="comparison", dir=root, id="halves", resume="allow") as run:
            for epoch in range(11, 21):
                run.log(epoch_of(0.01, epoch), step=epoch)
        return len(list(root.glob("wandb/offline-run-*")))

    def probe_resume(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.ask("half", root)
        folders = self.ask("rest", root)
        most = max(len(r.history.get("train_loss", [])) for r in self.records(root))
        text = f"init(id, resume='allow'): {folders} folders, at most {most} epochs in one"
        return Outcome(PARTLY if most == 20 or folders == 2 else NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "schema")
        (folder,) = root.glob("wandb/offline-run-*")
        header = self._inspect(folder, "--json")[0]["header"]
        return Outcome(PARTLY, f"{header}; no schema looked for outside the package")


if __name__ == "__main__":
    main(Wandb())
