"""What is searched: families of models, and the options of each."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice, product
from typing import Any

import numpy as np

from ..config import require_choice, require_int
from ..models.inputs import COORDINATES
from .four_param import _ray_tune, default_param_space

FAMILIES = ("gp", "ensemble", "mc-dropout", "four-param")

NETWORK_OPTIONS = (
    "hidden_dim",
    "num_hidden_layers",
    "activation",
    "optimizer",
    "lr",
    "weight_decay",
    "batch_size",
    "gradient_clipping",
)


def family_space(family: str, coordinates: Sequence[str] = COORDINATES) -> dict[str, Any]:
    """The options of a family that are searched, with lists of values or distributions of Ray Tune.

    The rate of dropout is not among them: it sets the width of the error bar, and the error alone
    would always choose the lowest.
    """
    require_choice("search", "family", family, FAMILIES)
    tune = _ray_tune()
    if family == "gp":
        return {"coordinates": list(coordinates)}
    if family == "ensemble":
        return {
            "members_per_fold": tune.choice([2, 3, 4]),
            "hidden_dim": tune.choice([16, 32, 64]),
            "num_hidden_layers": tune.choice([1, 2, 3]),
            "activation": tune.choice(["tanh", "silu"]),
            "prior_scale": tune.loguniform(0.3, 3.0),
            "learning_rate": tune.loguniform(5e-3, 5e-2),
        }
    space = default_param_space()
    return {name: space[name] for name in NETWORK_OPTIONS}


def draw_points(
    families: Sequence[str],
    n: int,
    seed: int,
    coordinates: Sequence[str] = COORDINATES,
) -> list[dict[str, Any]]:
    """The first n points of a search: the families take turns.

    The same seed gives the same points, of which those of a longer search are a continuation. A
    family of lists alone has as many points as there are combinations, and no more.

    Parameters
    ----------
    families : sequence of {"gp", "ensemble", "mc-dropout", "four-param"}
    n : int
        There are fewer, where the families have no more.
    seed : int
    coordinates : sequence of {"physical", "plain"}
        Those that the parameters have.

    Returns
    -------
    list of dict
        "family", and "config", its options.

    Raises
    ------
    ConfigError
        For an unknown family, or if Ray Tune is not installed.
    """
    require_int("search", "n", n, minimum=1)
    streams = {
        family: _points(family_space(family, coordinates), family, seed)
        for family in dict.fromkeys(families)
    }
    return list(islice(_in_turn(streams), n))


def _in_turn(streams: Mapping[str, Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    left = dict(streams)
    for family in cycle(streams):
        if not left:
            return
        if family in left:
            config = next(left[family], None)
            if config is None:
                del left[family]
            else:
                yield {"family": family, "config": config}


def _points(space: Mapping[str, Any], family: str, seed: int) -> Iterator[dict[str, Any]]:
    """Points of one family, which are the same whatever others are searched."""
    if all(isinstance(values, Sequence) for values in space.values()):
        yield from (dict(zip(space, values, strict=True)) for values in product(*space.values()))
        return
    rng = np.random.default_rng([seed, zlib.crc32(family.encode())])
    while True:
        yield {name: domain.sample(random_state=rng) for name, domain in space.items()}
