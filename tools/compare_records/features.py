"""The rows of the table: a key, what the feature is, and what the probe does."""

from __future__ import annotations

FEATURES: dict[str, tuple[str, str]] = {
    "killed": (
        "`kill -9` leaves a readable record",
        "a run is killed with all its processes at 10 moments; each time a new process reads the "
        "record. Yes: 10 readable and no logged epoch lost; partly: readable, but epochs lost. For "
        "tools that save at the end, 10 kills while saving over and over count as well",
    ),
    "status": (
        "a killed run is told from a running one",
        "the status the tool gives while a run goes on, and after it was killed; yes: they differ",
    ),
    "together": (
        "many processes write one root at once",
        "2 and 8 processes under one name, 8 under names of their own; yes: all are found whole; "
        "partly: only those under names of their own",
    ),
    "same_name": (
        "saving under a taken name keeps the earlier record",
        "two experiments are saved under one name; yes: both are found whole",
    ),
    "nan": ("NaN comes back as NaN", "the validation loss of epoch 7 is NaN; it is read back"),
    "flips": (
        "a flipped bit is noticed",
        "4 single bits each of a config value, a metric and the weights are flipped where they are "
        "stored; yes: the tool's check, or its reading, complains of all; partly: of all of a kind",
    ),
    "facts": (
        "code version, environment and command are recorded unasked",
        "what is in the record of a run in a git repository; partly: one or two of the three",
    ),
    "data_hash": (
        "a content hash of the training data is recorded",
        "an array is handed to the tool as data; the last of 20,000 rows is changed; yes: another "
        "hash is recorded; partly: a hash is recorded, but not of all the content",
    ),
    "lineage": (
        "lineage of the data, and the split",
        "the chain raw -> training -> weights, and which rows trained, are asked of the record; "
        "partly: one of the two, or as values that the caller logs and the tool does not know",
    ),
    "self_test": (
        "the record can test its own numbers",
        "is a prediction stored that a command replays and compares?",
    ),
    "plain": (
        "readable without the tool and without a server",
        "config, history and weights are read with Python's standard library alone",
    ),
    "copied": (
        "readable after the folder was copied",
        "the root is copied elsewhere, the original removed; yes: all is read, offline",
    ),
    "compare": (
        "runs are filtered offline, by config and metric",
        "5 runs; those with lr > 0.025 and a final train_loss < 0.095 are asked for; partly: they "
        "can be listed side by side, or filtered by one of the two",
    ),
    "listing": (
        "time to list 1000 runs",
        "1000 runs of one epoch; the tool's listing command in a new process, best of 3",
    ),
    "one_file": (
        "one-file export, verified import",
        "export to one file, import elsewhere, and the same with a bit of the file flipped; "
        "partly: copied or pushed as a folder with hashes",
    ),
    "executes": (
        "reading executes nothing",
        "a record is planted whose config and weights run a command when unpickled or decoded "
        "carelessly; the tool's own readers are used on it",
    ),
    "resume": (
        "training resumes to the same numbers",
        "10 epochs, a new process, 10 more; yes: the tool brings back weights, optimizer and "
        "random state and the numbers equal those of one go; partly: only the history goes on",
    ),
    "schema": (
        "documented, versioned format",
        "is there a format version in what is written, and a published schema?",
    ),
}

JUDGED: dict[str, tuple[str, ...]] = {
    "peer": (
        "status",
        "compare",
        "listing",
        "lineage",
        "self_test",
        "one_file",
        "resume",
        "schema",
    ),
    "mlflow": ("lineage", "one_file", "schema"),
    "dvc": ("self_test", "one_file", "schema"),
    "sacred": (
        *("status", "compare", "listing", "lineage", "self_test", "one_file", "resume", "schema"),
    ),
    "aim": ("data_hash", "lineage", "self_test", "one_file", "schema"),
    "wandb": ("compare", "listing", "self_test", "one_file", "resume", "schema"),
    "hub": (
        *("status", "compare", "listing", "data_hash", "lineage", "self_test", "one_file"),
        *("resume", "schema"),
    ),
}
"""Cells whose mark a person set, from a help text, names or files; no experiment decided them."""
