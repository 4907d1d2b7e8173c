"""Names in the record on disk: one place for what writers and readers must agree on."""

from __future__ import annotations

SCHEMA_VERSION = 1

INFO, CONFIGS, RESULTS = "info.json", "configs.json", "results.json"
PROVENANCE = "provenance.json"
COMPANIONS, PREDICTIONS = "companions.safetensors", "predictions.npz"
NORMALIZERS, CHECKPOINT, WEIGHTS = "normalizers.npz", "model.pt", "weights.safetensors"
POSTERIOR, BAND_POWERS = "posterior.safetensors", "data.json"

# Kinds of records; one that does not say its kind is of an emulator.
EMULATOR, INFERENCE = "emulator", "inference"

# Of a run that has not completed:
JOURNAL, STATE, ALIVE = "history.jsonl", "state.pt", ".alive"

HISTORY, RUNS = ".history", ".runs"
