"""The error tree: as it is drawn, so it is; and what its messages look like."""

from __future__ import annotations

import builtins
import inspect
import pickle
import re

import pytest

from reionemu import errors

LINE = re.compile(r"^    (?P<tree>[│├└─ ]*)(?P<name>[A-Z]\w+)(?:\s+\((?P<builtin>\w+)\))?")

FACTS = {
    "NoUsableSimulationsError": {"stats": "counts"},
    "NonFiniteLossError": {"epoch": 3, "history": {"train_loss": [1.0]}},
    "MissingRecordError": {"fields": ("ell", "bounds")},
    "OutOfRangeError": {"parameter": "kb_zre", "value": 9.0, "low": 0.1, "high": 2.0},
}


def drawn_tree() -> dict[str, tuple[str | None, str | None]]:
    """Name -> (parent, built-in base) as the docstring of the module draws them."""
    ancestors: dict[int, str] = {}
    tree: dict[str, tuple[str | None, str | None]] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = LINE.match(line)
        if match:
            depth = len(match["tree"]) // 4
            ancestors[depth] = match["name"]
            tree[match["name"]] = (ancestors[depth - 1] if depth else None, match["builtin"])
    return tree


def defined_errors() -> dict[str, type]:
    """Every exception class of the module but the warning."""
    return {
        name: cls
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, Exception) and not issubclass(cls, Warning)
    }


def make(name: str, message: str = "what went wrong") -> Exception:
    """An error of that class with example facts."""
    return getattr(errors, name)(message, **FACTS.get(name, {}))


def test_every_error_is_drawn_and_every_drawn_error_exists():
    assert set(drawn_tree()) == set(defined_errors())
    assert len(drawn_tree()) >= 15


@pytest.mark.parametrize("name", sorted(drawn_tree()))
def test_bases_are_those_drawn(name):
    parent, builtin = drawn_tree()[name]
    bases = [base.__name__ for base in getattr(errors, name).__bases__]
    expected = [base for base in (parent, builtin) if base] or ["Exception"]
    assert bases == expected
    if builtin:
        assert issubclass(getattr(errors, name), getattr(builtins, builtin))


@pytest.mark.parametrize("name", sorted(drawn_tree()))
def test_str_is_the_plain_message(name):
    message = "no 'such' thing: [1, 2]\nsecond line"
    assert str(make(name, message)) == message


def test_str_without_a_message_is_the_name():
    assert str(errors.MissingGroupError()) == "MissingGroupError"


@pytest.mark.parametrize(("name", "facts"), FACTS.items())
def test_errors_carry_the_facts(name, facts):
    error = make(name)
    assert {key: getattr(error, key) for key in facts} == facts


def test_stats_are_optional():
    assert errors.NoUsableSimulationsError("nothing").stats is None


@pytest.mark.parametrize("name", sorted(drawn_tree()))
def test_errors_and_their_facts_survive_a_pickle(name):
    copy = pickle.loads(pickle.dumps(make(name)))
    assert type(copy) is getattr(errors, name)
    assert str(copy) == "what went wrong"
    assert vars(copy) == FACTS.get(name, {})


def test_the_warning_is_a_user_warning_and_no_error():
    assert issubclass(errors.ReionemuWarning, UserWarning)
    assert not issubclass(errors.ReionemuWarning, errors.ReionemuError)
