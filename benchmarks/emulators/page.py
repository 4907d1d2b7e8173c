"""Results as tables, and the page they are written to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .published import VALIDATIONS

Results = dict[str, Any]
Rows = Iterable[Iterable[str]]

NAMES = {
    "gp": "Gaussian process",
    "ensemble": "ensemble",
    "mc-dropout": "dropout network",
    "published": "published package, validated with dropout",
    "published-plain": "the same, without (its default)",
}
SCATTER_TOLERANCE = 0.25
"""Scatter of 48 realizations is known to 10% a bin, and realizations are the same everywhere."""


def percent(value: float, places: int = 2) -> str:
    return f"{100 * value:.{places}f}%"


def coverage(values: list[float], places: int = 1) -> str:
    return " / ".join(f"{100 * value:.{places}f}" for value in values)


def table(header: Iterable[str], rows: Rows) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(results: Results) -> str:
    """All of them, with a line on what they are of."""
    preset = results["preset"] or "another configuration"
    about = (
        f"{results['date']}, {results['cores']} cores; suite of preset `{preset}`, seed 42, "
        f"{results['n_test']} test simulations"
        + ("; few repeats (--quick)" if results["quick"] else "")
        + "."
    )
    parts = (about, asked(results), models(results), parameter_space(results), suites(results))
    return "\n\n".join(parts)


def asked(results: Results) -> str:
    """What was to be reached, and what was."""
    rows = [
        [what, wanted, found, "ok" if ok else "BELOW"]
        for what, wanted, found, ok in [*_accuracy(results), *_others(results), *_speed(results)]
    ]
    return table(["", "wanted", "measured", ""], rows)


Check = tuple[str, str, str, bool]


def _accuracy(results: Results) -> list[Check]:
    gp, splits = results["models"]["gp"], results["other_splits"]
    usual, few = splits["usual"], splits["few"]

    def check(
        what: str,
        wanted: str,
        key: str,
        ok: Callable[[float], bool],
        show: Callable[[float], str] = percent,
    ) -> Check:
        others = f"{show(usual[key]['mean'])} +- {show(usual[key]['std'])}"
        return what, wanted, f"{show(gp[key])}; other splits {others}", ok(gp[key])

    wanted = ((0.683, 0.03), (0.954, 0.015), (0.99, None))
    inside = zip(gp["coverage"], wanted, strict=True)
    covered = all(abs(value - at) <= by if by else value >= at for value, (at, by) in inside)
    others = coverage(usual["coverage"]["mean"])
    tau, x_hi = results["history"]["tau_p95"], results["history"]
    return [
        check("mean error", "<= 0.5%", "mean", lambda x: x <= 0.005),
        check("95th percentile", "<= 1.6%", "p95", lambda x: x <= 0.016),
        check("worst simulation", "<= 4%", "worst", lambda x: x <= 0.04),
        check("reduced chi^2", "0.9 to 1.15", "chi2", lambda x: 0.9 <= x <= 1.15, "{:.2f}".format),
        (
            "within 1, 2, 3 sigma [%]",
            "68.3 +- 3, 95.4 +- 1.5, >= 99",
            f"{coverage(gp['coverage'])}; other splits {others}",
            covered,
        ),
        (
            "mean error, 100 simulations to train on",
            "<= 1.0%",
            f"{percent(results['few']['mean'])}; other splits {percent(few['mean']['mean'])} +- "
            f"{percent(few['mean']['std'])}",
            results["few"]["mean"] <= 0.01,
        ),
        ("tau, 95th percentile", "<= 0.1%", percent(tau, 4), tau <= 1e-3),
        (
            "x_HI(z), 99th percentile; worst",
            "<= 0.003; <= 0.01",
            f"{x_hi['x_hi_p99']:.4f}; {x_hi['x_hi_worst']:.4f}",
            x_hi["x_hi_p99"] <= 0.003 and x_hi["x_hi_worst"] <= 0.01,
        ),
    ]


def _others(results: Results) -> list[Check]:
    checks: list[Check] = []
    for name, title in (("own", "a seed a simulation"), ("several", "16 realizations")):
        found = results["suites"][name]
        ratios = found["scatter_ratio"]
        z = found["z_rms"]
        checks += [
            (f"{title}: mean, in error bars (rms)", "<= 1.5", f"{z:.2f}", z <= 1.5),
            (
                f"{title}: scatter over measured",
                "1 +- 0.25",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
                all(abs(ratio - 1) <= SCATTER_TOLERANCE for ratio in ratios),
            ),
        ]
    gradients = [
        *results["gradients"].values(),
        *(found["gradient_difference"] for found in results["suites"].values()),
    ]
    by_torch = results["torch_gradients"].values()
    for title, found in (("differences", gradients), ("PyTorch's", by_torch)):
        worst = max(found)
        checks.append((f"gradients against {title}", "<= 1e-4", f"{worst:.1e}", worst <= 1e-4))
    return checks


def _speed(results: Results) -> list[Check]:
    gp, theirs = results["models"]["gp"], results["models"]["published"]
    plain = results["models"]["published-plain"]
    error, trained = theirs["mean"] / gp["mean"], theirs["seconds"] / gp["seconds"]
    fitted = plain["seconds"] / gp["fit_seconds"]
    point, many = gp["speed"]["ratio"], gp["speed"]["many_ours"]
    folds = results["kfold"][0]["ratio"]
    return [
        ("error, published / ours", ">= 4", f"{error:.1f}", error >= 4),
        ("training time, published / ours", ">= 3", f"{trained:.1f}", trained >= 3),
        ("  the fit alone, theirs validated without", ">= 3", f"{fitted:.1f}", fitted >= 3),
        (
            "one point, published / ours",
            ">= 50",
            f"{point:.0f}; processor time {gp['speed']['cpu_ratio']:.0f}",
            point >= 50,
        ),
        ("10,000 points", "<= 0.3 s", f"{many:.2f} s", many <= 0.3),
        ("k-fold, published / ours", ">= 4", f"{folds:.1f}", folds >= 4),
    ]


def models(results: Results) -> str:
    """The models beside each other."""
    rows = []
    for name, title in NAMES.items():
        found = results["models"][name]
        times = found.get("speed", results["models"]["gp"]["speed"])
        side = "theirs" if name in VALIDATIONS else "ours"
        fit = f" (fit {found['fit_seconds']:.1f} s)" if "fit_seconds" in found else ""
        rows.append(
            [
                title,
                *(percent(found[key]) for key in ("mean", "p95", "worst")),
                f"{found['chi2']:.2f}",
                coverage(found["coverage"]),
                f"{found['seconds']:.1f} s" + fit,
                _milliseconds(times[side]),
                f"{times[f'many_{side}']:.2f} s",
            ]
        )
    header = ["model", "mean error", "95%", "worst", "chi^2", "in 1, 2, 3 sigma [%]"]
    timed = ["training", "one point", "10,000 points"]
    text = table([*header, *timed], rows)
    if "floor" in results:
        left = ", ".join(f"{name} {percent(rms)}" for name, rms in results["floor"].items())
        noise = percent(results["model_noise"])
        text += (
            f"\n\nRoughness of the suite: the Gaussian process takes {noise} of ln D_ell as noise. "
            "On lines a fifth of the box long, what a cubic leaves over is, along each parameter: "
            f"{left}."
        )
    return text


def parameter_space(results: Results) -> str:
    """Errors by bin, and by quarter of each parameter."""
    splits = results["other_splits"]
    header = ["", "mean error", "chi^2", "in 1, 2, 3 sigma [%]"]
    others = [f"other splits: {name}" for name in ("mean error", "chi^2", "in 1, 2, 3 sigma [%]")]
    pairs = [
        (f"ell = {one['ell']:.0f}", one, many)
        for one, many in zip(results["bins"], splits["bins"], strict=True)
    ]
    for name, quarters in results["quarters"].items():
        for one, many in zip(quarters, splits["quarters"][name], strict=True):
            pairs.append((f"{name} {one['low']:.3g} to {one['high']:.3g}", one, many))
    rows = [[title, *_cells(one), *_cells(many)] for title, one, many in pairs]
    return table([*header, *others], rows)


def _cells(found: Results) -> list[str]:
    quarter = "mean_relative_error" in found
    error = found["mean_relative_error" if quarter else "mean"]
    return [percent(error), f"{found['chi2']:.2f}", coverage(found["coverage"], 0)]


def suites(results: Results) -> str:
    """Suites of many realizations, against unseen ones."""
    rows = []
    for name, title in (
        ("own", "1000 simulations, a seed each"),
        ("several", "300 points, mean of 16 realizations"),
    ):
        found = results["suites"][name]
        rows.append(
            [
                title,
                percent(found["mean_difference"], 1),
                percent(found["error_bar"], 1),
                percent(found["unknown_mean"], 1),
                f"{found['z_rms']:.2f}",
                percent(found["within_2"], 0),
                ", ".join(percent(value, 0) for value in found["scatter"]),
                ", ".join(percent(value, 0) for value in found["measured_scatter"]),
            ]
        )
    header = [
        "suite (`demo`)",
        "difference of means",
        "error bar",
        "of the held-out mean",
        "z, rms",
        "in 2 sigma",
        "scatter of a map, by bin",
        "measured",
    ]
    return table(header, rows)


def write(path: Path, results: Results) -> None:
    """Put the tables between the page's marks for this preset."""
    page = path.read_text()
    begin, end = place(path, results["preset"])
    path.write_text(f"{page[:begin]}\n{tables(results)}\n{page[end:]}")


def place(path: Path, preset: str | None) -> tuple[int, int]:
    """Where in a page the tables of a preset are: between its two marks."""
    mark, page = f"<!-- measured: {preset} -->", path.read_text()
    found = re.search(f"(?<={re.escape(mark)}).*?(?=<!-- end of measured -->)", page, re.DOTALL)
    if not found:
        raise SystemExit(f"{path} has no place for these tables: {mark}")
    return found.span()


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.2g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} us"
