"""The order of the folders: imports go from later ones to earlier ones and never back."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import reionemu

ROOT = Path(reionemu.__file__).parent

BASE = (
    "_lazy",
    "clusters",
    "config",
    "devices",
    "errors",
    "extras",
    "files",
    "locks",
    "machine",
    "parameters",
    "targets",
    "threads",
)

ORDER = (
    "base",
    "design",
    "spectra",
    "simulation",
    "simio",
    "data",
    "models",
    "training",
    "tuning",
    "artifact",
    "inference",
    "plot",
    "pipeline",
    "cli",
    "__main__",
)

FORBIDDEN = {"artifact": ("training", "tuning")}

ONLY_HERE = {
    "arviz": ("inference",),
    "astropy": ("simulation",),
    "camb": ("simulation",),
    "cobaya": ("inference",),
    "emcee": ("inference",),
    "getdist": ("inference", "plot"),
    "matplotlib": ("plot",),
    "mlflow": ("artifact",),
    "nautilus": ("inference",),
    "nutpie": ("inference",),
    "pandas": ("artifact",),
    "ray": ("simulation", "tuning"),
    "rich": ("cli",),
    "typer": ("cli",),
}

NOWHERE = ("sklearn",)


def folder_of(parts: tuple[str, ...]) -> str:
    """The place in the order of a module, given by the parts of its name below the package."""
    if not parts:
        return "top"
    return "base" if parts[0] in BASE else parts[0]


def imported_modules(tree: ast.AST, package: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Names, as tuples of parts, of what a module of `package` imports, wherever it does so."""
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                stem = (*package[: len(package) - node.level + 1], *stem)
            if stem == ("reionemu",):
                found |= {("reionemu", alias.name) for alias in node.names}
            else:
                found.add(stem)
    return found


def modules() -> dict[Path, set[tuple[str, ...]]]:
    """What each file of the package imports."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        package = ("reionemu", *path.relative_to(ROOT).parent.parts)
        found[path.relative_to(ROOT)] = imported_modules(ast.parse(path.read_text()), package)
    return found


def internal_edges() -> list[tuple[str, str, str]]:
    """(file, its folder, the folder it imports from) of every import inside the package."""
    return [
        (str(path), folder_of(path.with_suffix("").parts), folder_of(target[1:]))
        for path, targets in modules().items()
        if path.name != "__init__.py" or path.parent != Path()
        for target in targets
        if target[0] == "reionemu"
    ]


@pytest.mark.parametrize(
    ("code", "package", "expected"),
    [
        ("from ..errors import X", ("reionemu", "data"), ("reionemu", "errors")),
        ("from .splits import X", ("reionemu", "data"), ("reionemu", "data", "splits")),
        ("from .. import files", ("reionemu", "simio"), ("reionemu", "files")),
        ("def f():\n    import ray.tune", ("reionemu",), ("ray", "tune")),
        ("if TYPE_CHECKING:\n    from torch import nn", ("reionemu",), ("torch",)),
    ],
)
def test_imports_are_found_in_every_form(code, package, expected):
    assert expected in imported_modules(ast.parse(code), package)


def test_every_folder_has_a_place_in_the_order():
    folders = {folder_of(path.with_suffix("").parts) for path in modules()} - {"__init__"}
    assert folders <= set(ORDER)
    assert len(folders) >= 9


def test_folders_import_only_earlier_ones():
    rank = {name: i for i, name in enumerate(ORDER)}
    wrong = [
        f"{file} imports {target}"
        for file, folder, target in internal_edges()
        # `from .. import __version__` reads the top of the package, which imports nothing.
        if target not in ("top", "__version__", folder) and rank[target] > rank[folder]
    ]
    assert wrong == []


def test_artifact_needs_no_training_code():
    wrong = [
        f"{file} imports {target}"
        for file, folder, target in internal_edges()
        if target in FORBIDDEN.get(folder, ())
    ]
    assert wrong == []


def test_the_top_of_the_package_imports_nothing_but_the_lazy_loader():
    assert modules()[Path("__init__.py")] == {("reionemu", "_lazy")}


def test_optional_packages_are_imported_where_they_belong():
    wrong = [
        f"{path} imports {target[0]}"
        for path, targets in modules().items()
        for target in targets
        if target[0] in NOWHERE
        or (
            target[0] in ONLY_HERE
            and folder_of(path.with_suffix("").parts) not in ONLY_HERE[target[0]]
        )
    ]
    assert wrong == []


def test_ray_is_imported_at_all():
    importers = {p.parts[0] for p, targets in modules().items() for t in targets if t[0] == "ray"}
    assert importers == {"simulation", "tuning"}
