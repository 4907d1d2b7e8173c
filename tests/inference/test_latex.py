"""Tables and symbols for papers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.mathtext import MathTextParser
from scipy.stats import norm

from reionemu.errors import ConfigError
from reionemu.inference.latex import (
    LABELS,
    constraint,
    decimals,
    fixed,
    label,
    latex_table,
    prior_symbol,
    quantiles,
)

N = 4000
MIDDLES = (np.arange(N) + 0.5) / N  # quantiles that stand for draws


class StandIn:
    """Two parameters that are exactly Gaussian and exponential, one at an edge, one anywhere."""

    names = ("zmean_zre", "kb_zre", "b0_zre", "an_own_name")
    all_names = (*names, "tau")
    priors = {  # noqa: RUF012
        "zmean_zre": "uniform(7, 9)",
        "kb_zre": "loguniform(0.1, 2)",
        "b0_zre": "normal(0.5, 0.2)",
        "an_own_name": "beta(2, 3)_%",
    }
    values = {  # noqa: RUF012
        "zmean_zre": norm(8, 0.2).ppf(MIDDLES),
        "kb_zre": 0.1 + 1.9 * MIDDLES,
        "b0_zre": MIDDLES,
        "an_own_name": MIDDLES,
        "tau": -0.01 * np.log(MIDDLES),
    }
    edges = {"kb_zre": "low", "b0_zre": "high", "an_own_name": "both"}  # noqa: RUF012
    weights_flat = np.full(N, 1 / N)

    def column(self, name):
        return self.values[name].reshape(4, -1)

    def summary(self):
        for name in self.all_names:
            x = self.values[name]
            low95, low68, median, high68, high95 = np.quantile(
                x, [0.025, 0.16, 0.5, 0.84, 0.975], method="hazen"
            )
            yield SimpleNamespace(
                name=name, mean=x.mean(), std=x.std(), median=median, low68=low68, high68=high68,
                low95=low95, high95=high95, at_edge=self.edges.get(name),
            )  # fmt: skip


@pytest.fixture
def posterior():
    return StandIn()


def rows(table):
    lines = [line for line in table.splitlines() if "&" in line]
    return [[cell.strip() for cell in line.removesuffix(r"\\").split(" & ")] for line in lines]


def test_table_of_known_distributions(posterior):
    """A Gaussian of width 0.2 has 68% within 0.9945 and 95% within 1.96 of its width."""
    header, *body = rows(latex_table(posterior))
    assert header == ["Parameter", "Prior", r"68\%", r"95\%"]
    assert body == [
        [r"$\bar{z}$", r"$\mathcal{U}(7, 9)$", r"$8.00 \pm 0.20$", r"$[7.61,\ 8.39]$"],
        [
            r"$k_\mathrm{b}\ [h\,\mathrm{Mpc}^{-1}]$",
            r"$\log\mathcal{U}(0.1, 2)$",
            "$< 1.39$",
            r"$< 1.90$",
        ],
        ["$b_0$", r"$\mathcal{N}(0.5, 0.2)$", "$> 0.32$", "$> 0.05$"],
        [
            r"$\mathrm{an\_own\_name}$",
            r"beta(2, 3)\_\%",
            r"$\mathrm{unconstrained}$",
            r"$\mathrm{unconstrained}$",
        ],
        # Exponential of mean 0.01: quantiles -0.01 ln(1 - q).
        [r"$\tau$", "derived", r"$0.0069^{+0.0114}_{-0.0052}$", r"$[0.0003,\ 0.0369]$"],
    ]


def test_another_level_gives_other_intervals_and_limits(posterior):
    header, *body = rows(latex_table(posterior, level=0.95))
    assert header[2] == r"95\%"
    assert body[0][2] == r"$8.00 \pm 0.39$"
    assert body[1][2] == "$< 1.90$"
    for wrong in (0, 1, 68, float("nan"), "much"):
        with pytest.raises(ConfigError, match=r"latex_table\.level"):
            latex_table(posterior, level=wrong)


def test_table_is_whole_and_its_mathematics_can_be_set(posterior):
    table = latex_table(posterior)
    assert table.startswith("\\begin{tabular}{lccc}\n\\toprule\n")
    assert table.endswith("\\bottomrule\n\\end{tabular}\n")
    assert table.count("\\midrule") == 2
    assert all(len(row) == 4 for row in rows(table))
    assert table.count("{") == table.count("}")
    assert table.count("$") % 2 == 0
    parser = MathTextParser("path")
    for row in rows(table):
        for cell in row:
            parser.parse(cell)  # an error if it is not LaTeX's mathematics


def test_every_symbol_can_be_set_with_its_unit():
    parser = MathTextParser("path")
    for name in (*LABELS, "one_of_my_own", r"100%_of^my\{#~&"):
        assert parser.parse(f"${label(name, unit=True)}$").width > 0
    assert label("kb_zre") in label("kb_zre", unit=True)
    assert label("tau", unit=True) == r"\tau"


@pytest.mark.parametrize(
    ("errors", "places", "shown"),
    [
        ((0.123,), 2, "1.23"),
        ((0.0996,), 2, "1.23"),  # 0.10 when rounded
        ((0.0994,), 3, "1.235"),
        ((12.3, 45.0), 0, "1"),
        ((2500.0,), -2, "0"),
        ((0.01, 5.0), 2, "1.23"),  # the larger error has no more than three digits
        ((0.0,), 2, "1.23"),
    ],
)
def test_two_digits_of_the_error_are_shown(errors, places, shown):
    assert decimals(*errors) == places
    assert fixed(1.2346, places) == shown


def test_nothing_is_minus_zero():
    assert fixed(-0.001, 2) == "0.00"
    assert fixed(1234.5, -2) == "1200"


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=30).filter(
        lambda w: sum(x > 0 for x in w) > 1
    ),
    st.integers(0, 2**32 - 1),
)
def test_weights_count_as_repetitions_do(weights, seed):
    """Quantiles of weighted values are those of the same values repeated, within one value."""
    values = np.random.default_rng(seed).normal(size=len(weights))
    weighted = SimpleNamespace(
        column=lambda _: values.reshape(1, -1), weights_flat=np.array(weights) / sum(weights)
    )
    repeated = np.repeat(values, weights)
    probabilities = [0.1, 0.5, 0.9]
    found = quantiles(weighted, "x", probabilities)
    kept = np.unique(repeated)
    for value, q in zip(found, probabilities, strict=True):
        below, above = np.mean(repeated < value - 1e-12), np.mean(repeated <= value + 1e-12)
        step = max(weights) / sum(weights)
        assert below - step <= q <= above + step
        assert kept[0] <= value <= kept[-1]


def test_constraint_is_symmetric_only_when_it_looks_so(posterior):
    summaries = {one.name: one for one in posterior.summary()}
    assert constraint(posterior, summaries["zmean_zre"], 0.68) == r"8.00 \pm 0.20"
    assert "^{+" in constraint(posterior, summaries["tau"], 0.68)


def test_priors_of_other_kinds_are_given_as_text():
    assert prior_symbol("uniform(0, 1)") == r"$\mathcal{U}(0, 1)$"
    assert prior_symbol(r"a\b_c") == r"a\textbackslash{}b\_c"
