"""DVC with DVCLive: files in a Git repository; each run is saved as a DVC experiment."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiment import (
    EPOCHS,
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
from processes import find, git, kill_after
from script import main


class DVC(Tracker):
    name, module = "DVC + DVCLive", "dvclive"

    def prepare(self, root: Path) -> None:
        git(root, "init", "--quiet")
        self.tool("dvc", "init", "--quiet", cwd=root)
        self.tool("dvc", "config", "core.analytics", "false", cwd=root)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "start")

    def write(self, root: Path, name: str, lr: float, epochs: Iterator[int]) -> None:
        from dvclive import Live

        with Live(exp_name=name) as live:
            live.log_params(config_of(lr))
            for epoch in epochs:
                for key, value in epoch_of(lr, epoch).items():
                    live.log_metric(key, value)
                live.next_step()
            Path("weights.bin").write_bytes(weights_of(lr))
            live.log_artifact("weights.bin", type="model", cache=True)

    def read(self, root: Path) -> list[Record]:
        """Every saved experiment, from Git and the cache; and, without a name, the workspace."""
        shown = json.loads(self.tool("dvc", "exp", "show", "--json", cwd=root).stdout)
        saved = [each for state in shown for each in state.get("experiments") or []]
        found = [self._saved(root, each["revs"][0]["rev"], each["name"]) for each in saved]
        return [*found, self._workspace(root, next(s for s in shown if s["rev"] == "workspace"))]

    def _saved(self, root: Path, rev: str, name: str) -> Record:
        config = self._yaml(git(root, "show", f"{rev}:dvclive/params.yaml"))
        history = {
            key: values_of(git(root, "show", f"{rev}:dvclive/plots/metrics/{key}.tsv"))
            for key in ("train_loss", "val_loss")
        }
        pointer = self._yaml(git(root, "show", f"{rev}:weights.bin.dvc"))["outs"][0]["md5"]
        cached = root / ".dvc/cache/files/md5" / pointer[:2] / pointer[2:]
        weights = sha256(cached.read_bytes()) if cached.exists() else None
        return Record(name, config, history, weights, "saved")

    def _workspace(self, root: Path, state: dict[str, Any]) -> Record:
        live = root / "dvclive"
        params = live / "params.yaml"
        tables = sorted(live.glob("plots/metrics/*.tsv"))
        history = {path.stem: values_of(path.read_text()) for path in tables}
        config = self._yaml(params.read_text()) if params.exists() else {}
        status = (state.get("executor") or {}).get("state") or state.get("status")
        return Record("", config, history, None, status)

    def _yaml(self, text: str) -> dict[str, Any]:
        from ruamel.yaml import YAML

        return dict(YAML(typ="safe").load(text) or {})

    def records(self, root: Path) -> list[Record]:
        """The workspace is the last run that was started, unless that was saved."""
        *saved, workspace = super().records(root)
        if self._last in [record.name for record in saved] or not workspace.config:
            return saved
        workspace.name = self._last
        return [*saved, workspace]

    def start(self, root: Path, name: str, lr: float = LR, pause: float = 0.0) -> subprocess.Popen:
        self._last = name
        return super().start(root, name, lr, pause)

    def probe_killed(self, work: Path) -> Outcome:
        """What a killed run leaves lies in the workspace: is it there after the next run?"""
        outcome, root = super().probe_killed(work), self.fresh(work)
        kill_after(self.start(root, "killed", pause=self.pause), "begun", 0.5)
        self.save(root, "next")
        left = [r for r in self.ask("read", root) if len(r["history"]["train_loss"]) < EPOCHS]
        text = f"{outcome.evidence}, unsaved in the workspace; after the next run: {len(left)} left"
        return Outcome(outcome.mark if left or outcome.mark == NO else PARTLY, text)

    def probe_together(self, work: Path) -> Outcome:
        """DVCLive writes to one folder of the workspace. DVC's own way is a queue."""
        plain = super().probe_together(work)
        text = "; DVC's queue (`dvc exp run --queue`) not checked: it needs antlr4 4.9, of no wheel"
        return Outcome(plain.mark, plain.evidence + text)

    def _pipeline(self, work: Path) -> Path:
        """A project whose stages are raw -> train: data, params, metrics and weights."""
        root = self.fresh(work)
        (root / "params.yaml").write_text("lr: 0.5\n")
        (root / "raw.bin").write_bytes(weights_of(1.0))
        stage = (
            "import re, shutil; shutil.copy('raw.bin', 'weights.bin')\n"
            "lr = re.search('lr: (.*)', open('params.yaml').read())[1]\n"
            "open('metrics.json', 'w').write('{\"loss\": %s}' % lr)\n"
        )
        (root / "train.py").write_text(stage)
        words = (
            "stage add --name train --deps raw.bin --deps train.py --params lr --outs weights.bin"
        )
        command = [*words.split(), "--metrics-no-cache", "metrics.json", "python3 train.py"]
        self.tool("dvc", "add", "--quiet", "raw.bin", cwd=root)
        self.tool("dvc", *command, cwd=root)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", "pipeline")
        return root

    def check(self, root: Path) -> str | None:
        """`git fsck` for what Git holds, `dvc status` and `dvc exp apply` for the cache."""
        if complaint := super().check(root):
            return complaint
        fsck = subprocess.run(["git", "fsck", "--full"], cwd=root, capture_output=True, text=True)
        if fsck.returncode:
            return fsck.stderr[:200]
        (root / "weights.bin").unlink(missing_ok=True)
        done = self.tool("dvc", "checkout", "--force", "weights.bin.dvc", cwd=root, check=False)
        if done.returncode:
            return done.stderr[:200]
        status = json.loads(self.tool("dvc", "status", "--json", cwd=root).stdout)
        return str(status) if status else None

    def how_checked(self) -> str:
        return " (by `git fsck`, `dvc checkout` and `dvc status` of the saved experiment)"

    def flip_places(self, root: Path, kind: str) -> list[tuple[Path, int]]:
        """The saved experiment: Git's objects (compressed), and DVC's cache."""
        if kind == "weights":
            places = find(root, weights_of(LR)[2000:2016])
            return [place for place in places if "cache" in place[0].parts]
        saved = {"config": "dvclive/params.yaml", "metric": "dvclive/plots/metrics/train_loss.tsv"}
        ref = git(root, "for-each-ref", "--format=%(objectname)", "refs/exps").splitlines()[0]
        blob = git(root, "rev-parse", f"{ref}:{saved[kind]}")
        path = root / ".git/objects" / blob[:2] / blob[2:]
        return [(path, path.stat().st_size // 2)]

    def facts(self, root: Path) -> dict[str, Any]:
        (rev,) = git(root, "for-each-ref", "--format=%(objectname)", "refs/exps").splitlines()[:1]
        return {
            "code": f"experiment is Git commit {rev[:10]} on {git(root, 'rev-parse', 'HEAD')[:10]}",
            "environment": None,
            "command": None,
        }

    def plain(self, root: Path) -> tuple[Record, str]:
        live = root / "dvclive"
        rows = (line.split(": ") for line in (live / "params.yaml").read_text().splitlines())
        history = {"train_loss": values_of((live / "plots/metrics/train_loss.tsv").read_text())}
        weights = sha256((root / "weights.bin").read_bytes())
        return Record("", dict(rows), history, weights), "YAML, TSV; runs but the last through Git"

    def probe_compare(self, work: Path) -> Outcome:
        root = self.fresh(work)
        for i in range(5):
            self.save(root, f"run{i}", round(0.01 * (i + 1), 2))
        shown = self.tool("dvc", "exp", "show", "--csv", "--sort-by", "train_loss", cwd=root).stdout
        rows = [row for row in csv.DictReader(io.StringIO(shown)) if row["Experiment"][:3] == "run"]
        helped = self.tool("dvc", "exp", "show", "--help", cwd=root).stdout
        options = [word for word in ("--filter", "--where", "--query") if word in helped]
        text = (
            f"`dvc exp show --sort-by`: {len(rows)} runs side by side; options to filter: {options}"
        )
        return Outcome(YES if options else PARTLY if len(rows) == 5 else NO, text)

    def probe_listing(self, work: Path, runs: int) -> Outcome:
        """A hundred, as each takes a second to save."""
        outcome = super().probe_listing(work, min(runs, 100))
        return Outcome(f"{outcome.mark} for {min(runs, 100)}", outcome.evidence)

    def many(self, root: Path, n: str) -> int:
        from dvclive import Live

        for i in range(int(n)):
            with Live(exp_name=f"many{i}") as live:
                live.log_params(config_of(0.01 + i / 1000))
                live.log_metric("train_loss", 1.0 + i)
        return int(n)

    def listing(self, root: Path) -> list[str]:
        return ["dvc", "exp", "show", "--csv"]

    def probe_data_hash(self, work: Path) -> Outcome:
        root, found = self.fresh(work), []
        for content in (weights_of(1.0), weights_of(1.0)[:-1] + b"\0"):
            (root / "data.bin").write_bytes(content)
            self.tool("dvc", "add", "--quiet", "data.bin", cwd=root)
            found.append(self.ask("pointer", root))
        return Outcome(
            YES if found[0] != found[1] else NO, f"dvc add: MD5 {found[0]}, then {found[1]}"
        )

    def pointer(self, root: Path) -> str:
        return self._yaml((root / "data.bin.dvc").read_text())["outs"][0]["md5"]

    def probe_lineage(self, work: Path) -> Outcome:
        root = self._pipeline(work)
        self.tool("dvc", "repro", cwd=root)
        lock = self.ask("lock", root)
        stage = lock["stages"]["train"]
        deps, outs = ([e["path"] for e in stage[key]] for key in ("deps", "outs"))
        text = (
            f"dvc.lock: {deps} -> {outs} with hashes and params; rows only as a file of the caller"
        )
        return Outcome(PARTLY if "weights.bin" in outs else NO, text)

    def lock(self, root: Path) -> dict[str, Any]:
        return self._yaml((root / "dvc.lock").read_text())

    def probe_self_test(self, work: Path) -> Outcome:
        there = self.commands_with("verify test replay", ("dvc", "--help"), cwd=work)
        text = f"commands for it in `dvc --help`: {there}"
        return Outcome(NO, text)

    def probe_one_file(self, work: Path) -> Outcome:
        there = self.commands_with("export bundle push", ("dvc", "--help"), cwd=work)
        return Outcome(PARTLY, f"no one file; to remotes, by hash: {'; '.join(there)}")

    def probe_executes(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.save(root, "planted")
        evil = "lr: !!python/object/apply:os.system ['touch RAN']\n"
        (root / "dvclive" / "params.yaml").write_text(evil)
        (root / "weights.bin").write_bytes(b"cos\nsystem\n(S'touch RAN'\ntR.")
        for words in ("exp show --json", "params diff", "status", "metrics show"):
            self.tool("dvc", *words.split(), cwd=root, check=False)
        ran = bool(list(root.rglob("RAN")))
        text = "a planted YAML tag and pickle ran nothing in exp show, params diff, status, metrics"
        return Outcome(NO if ran else YES, text)

    def half(self, root: Path) -> int:
        from dvclive import Live

        live = Live(exp_name="resumed")
        live.log_params(config_of(0.01))
        self._log(live, range(1, 11))
        return live.step

    def rest(self, root: Path) -> int:
        from dvclive import Live

        with Live(resume=True, exp_name="resumed") as live:
            self._log(live, range(live.step + 1, EPOCHS + 1))
        return len(values_of((root / "dvclive/plots/metrics/train_loss.tsv").read_text()))

    def _log(self, live: Any, epochs: range) -> None:
        for epoch in epochs:
            for key, value in epoch_of(0.01, epoch).items():
                live.log_metric(key, value)
            live.next_step()

    def probe_resume(self, work: Path) -> Outcome:
        root = self.fresh(work)
        self.ask("half", root)
        epochs = self.ask("rest", root)
        text = f"Live(resume=True): {epochs} epochs in one run; state is the caller's to keep"
        return Outcome(PARTLY if epochs >= 20 else NO, text)

    def probe_schema(self, work: Path) -> Outcome:
        root = self._pipeline(work)
        self.tool("dvc", "repro", cwd=root)
        text = f"dvc.lock says schema {self.ask('lock', root)['schema']}; DVCLive's files say none"
        return Outcome(PARTLY, text)


def values_of(table: str) -> list[float]:
    """The second column of a DVCLive table, in order of its steps."""
    rows = [line.split("\t") for line in table.strip().splitlines()[1:]]
    try:
        return [float(row[1]) for row in rows]
    except (IndexError, ValueError) as error:
        raise ProbeError(f"a torn table: {rows[-1]}") from error


if __name__ == "__main__":
    main(DVC())
