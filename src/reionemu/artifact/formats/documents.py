"""Models of the JSON documents of a record: which fields there are, of which types.

They describe a document as `jsonio.decode` returns it. Types are strict: "1", true and 1.0 are
not the whole number 1. Fields that are not listed are allowed, and kept.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]
Time = Annotated[
    str,
    Field(
        # No line break, which "$" would let pass, and then ISO 8601.
        pattern=r"^(?![\s\S]*\n)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
        r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$",
    ),
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**64)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
Table = Annotated[list[list[float]], Field(max_length=1000)]
Options = dict[str, Any]
First = Annotated[int, Field(ge=1, le=1, description="version of the document")]


class _Object(BaseModel):
    """An object of which more may be said than is known here."""

    model_config = ConfigDict(
        strict=True,
        extra="allow",
        regex_engine="python-re",
        protected_namespaces=(),
        hide_input_in_errors=True,
    )


def _optional(description: str) -> Any:
    """A field that may be left out, but is not null."""
    return Field(default=None, description=description)


class Fingerprint(_Object):
    """By which a file is known again without reading it."""

    path: Text = Field(description="absolute")
    file_size_bytes: Count = Field(description="[bytes]")
    modified_at: Time = Field(description="time of its last change, UTC")


class Dataset(_Object):
    """The HDF5 file with the training arrays."""

    path: Text = Field(description="absolute")
    fingerprint: Fingerprint = Field(description="by which it is known again")
    n_samples: Count = _optional("rows of the training arrays")
    n_parameters: Count = _optional("columns of X")
    n_targets: Count = _optional("columns of Y")
    param_names: list[str] = _optional("columns of X, in order")
    ell: list[float] = _optional("centres of the multipole bins")
    y_source: str | None = _optional("dl_ksz or cl_ksz [uK^2]")
    y_transform: str | None = _optional("ln, log10 or none")
    eps: float | None = _optional("added before the logarithm [uK^2]")
    content_sha256: Sha256 = _optional("of the arrays themselves, see formats.md")
    parameter_ranges: dict[str, Range] | None = _optional("[lowest, highest] over all rows")
    realizations: str | None = _optional("own or shared, null if that is not known")
    n_realizations: Count | None = _optional("maps that each row is the mean of")
    map_area: float | None = _optional("of every map [sr]")
    design_ranges: dict[str, Range] | None = _optional("[low, high] of the design")
    has_tau: bool = _optional("whether the arrays have optical depths")
    z: list[float] | None = _optional("redshifts of the neutral fractions")
    history_sha256: Sha256 | None = _optional("of tau, z and x_hi, see formats.md")


class Files(_Object):
    """Names of the files of a record, by part."""

    __pydantic_extra__: dict[str, str]
    configs: Text = _optional("the choices made before the run")
    results: Text = _optional("what came of it")
    normalizers: Text = _optional("means and deviations")
    model_checkpoint: Text = _optional("the checkpoint as it was given")
    weights: Text = _optional("the weights as safetensors")
    companions: Text = _optional("error bars, history and more, of the emulator")
    predictions: Text = _optional("predictions of simulations that were not trained on")
    posterior: Text = _optional("samples of a posterior, and what follows from them")
    data: Text = _optional("the band powers that a posterior is of")
    provenance: Text = _optional("what made the record, and checksums")


class Info(_Object):
    """info.json: what a record is."""

    schema_version: First
    run_id: Text = Field(description="name of the record")
    experiment_name: Text = Field(description="the same, unless the writer chose another")
    description: str | None = Field(description="for people")
    created_at: Time = Field(description="time of writing, UTC")
    kind: Text = _optional("emulator, as also where it is not said, or inference")
    dataset: Dataset | None = Field(description="the file that the model was trained on")
    artifacts: Files = Field(description="names of the files, by part")
    training_box: dict[str, Range] = _optional("[lowest, highest] over the training rows")
    software: dict[str, str] = _optional("versions, in earlier records; now in provenance.json")
    requested: Options | None = _optional("in earlier records; now provenance.json, request")


class DatasetPrep(_Object):
    """Options of the stages that made the dataset, null for those that were not given."""

    condense: Options | None = Field(description="CondenseConfig")
    cl: Options | None = Field(description="ClConfig")
    build_xy: Options | None = Field(description="BuildXYConfig")


class DataLoading(_Object):
    """How rows reach the model."""

    dataloader: Options | None = Field(description="DataLoaderConfig")


class Inference(_Object):
    """The choices behind a posterior."""

    emulator: Options = Field(description="name, run and seal of its record")
    data: Options = Field(description="name, sha256 and source of the band powers")
    sampler: Options = Field(description="name and options")
    seed: Seed = Field(description="of the sampler")
    priors: dict[str, str] = Field(description="given ones by parameter, such as normal(0.5, 0.1)")
    tau: Range | None = Field(description="mean and standard deviation of a constraint")
    late_time: Range | None = Field(description="prior of the late-time amplitude [uK^2]")


class Configs(_Object):
    """configs.json: the choices made before the run."""

    schema_version: First
    dataset_prep: DatasetPrep = Field(description="how the dataset was made")
    data_loading: DataLoading = Field(description="how rows reach the model")
    training: Options | None = Field(description="FitConfig")
    kfold: Options | None = Field(description="KFoldConfig")
    model: Options | None = Field(description="class_name and the options of the class")
    optimizer: Options | None = Field(description="as given")
    tuning: Options | None = Field(description="as given")
    inference: Inference = _optional("of a posterior")


class Failure(_Object):
    """What ended a run."""

    type: Text = Field(description="class of the exception")
    message: str = Field(description="what the exception said")
    traceback: str = Field(description="as Python prints it")


class Results(_Object):
    """results.json: what came of the run."""

    schema_version: First
    created_at: Time = Field(description="time of writing, UTC")
    status: Text = Field(description="completed, running, failed, interrupted, or as given")
    summary: Options = Field(description="as given")
    metrics: Options = Field(description="as given")
    history: Options = Field(description="arrays by name, one value an epoch")
    dataset_prep_stats: Options = Field(description="as given")
    error: Failure = _optional("of a run that failed")


class Session(_Object):
    """A process that worked on the run."""

    started_at: Time = Field(description="UTC")
    host: str = Field(description="name of the machine")
    from_epoch: Count = Field(description="epochs done when it began")
    ended_at: Time | None = _optional("of one that was killed: its last sign of life")
    command: list[str] = _optional("the arguments of the process")
    software: dict[str, str] = _optional("versions by name")
    commit: str | None = _optional("of the code")


class Platform(_Object):
    """The machine."""

    system: str = Field(description="operating system and its version")
    machine: str = Field(description="architecture")
    host: str = Field(description="name of the machine")
    cpu: str | None = Field(description="model, if known")
    cpu_count: Count | None = Field(description="logical processors, if known")
    gpus: list[str] = Field(description="models")


class Code(_Object):
    """The state of the git repository that the program was run from."""

    directory: Text = Field(description="absolute")
    commit: str | None = Field(description="null before the first one")
    dirty: bool = Field(description="whether it may differ from the commit")
    diff: str | None = Field(description="how, if there is little of it")
    diff_sha256: Sha256 | None = Field(description="null if there is no difference")


class Script(_Object):
    """The file of the program."""

    path: Text = Field(description="absolute")
    sha256: Sha256 = Field(description="of its bytes")


class Library(_Object):
    """The checkout that reionemu was imported from."""

    directory: Text = Field(description="absolute")
    commit: str | None = Field(description="null before the first one")
    dirty: bool = Field(description="whether tracked files differ from the commit, or may")
    diff_sha256: Sha256 | None = Field(description="null if there is no difference")


class Raw(_Object):
    """The folder of raw simulations."""

    step: Literal["raw"] = Field(description="raw simulations")
    path: Text = Field(description="absolute")
    inventory_sha256: Sha256 | None = Field(description="of names, sizes and times of its files")


class Condensed(Fingerprint):
    """The HDF5 file."""

    step: Literal["condensed"] = Field(description="the HDF5 file")
    sha256: Sha256 | None = _optional("of its bytes; null if it is larger than 512 MB")
    config: Options | None = Field(description="CondenseConfig, if known")


class Spectra(_Object):
    """The estimate of the spectra in it."""

    step: Literal["spectra"] = Field(description="the spectra in it")
    config: Options | None = Field(description="ClConfig, if known")


class TrainingArrays(_Object):
    """The training arrays in it."""

    step: Literal["training_set"] = Field(description="the training arrays in it")
    config: Options | None = Field(description="BuildXYConfig, if known")
    content_sha256: Sha256 = Field(description="of the arrays, see formats.md")
    n_samples: Count = Field(description="rows")
    n_parameters: Count = Field(description="columns of X")
    n_targets: Count = Field(description="columns of Y")


class Split(_Object):
    """Which rows were used for what."""

    step: Literal["split"] = Field(description="the rows of each part")
    fractions: dict[str, float] | None = Field(description="null if only rows were given")
    seed: Seed | None = Field(description="of the permutation")
    indices: dict[str, list[Count]] = Field(description="rows by part: train, val, test")


class Weights(_Object):
    """The weights that training led to."""

    step: Literal["weights"] = Field(description="the result of training")
    model: Options | None = Field(description="class_name and options, if known")
    optimizer: Options | None = Field(description="as given")
    training: Options | None = Field(description="FitConfig, if known")
    content_sha256: Sha256 = Field(description="of the weights themselves, see formats.md")


class EmulatorUsed(_Object):
    """The record of the emulator that a posterior was computed with."""

    step: Literal["emulator"] = Field(description="the emulator")
    name: Text = Field(description="of its record")
    path: Text = Field(description="absolute")
    run: str | None = Field(description="as in its provenance.json, if it has one")
    seal: Sha256 | None = Field(description="of its provenance.json, if it has one")


class Data(_Object):
    """The band powers that it was compared with."""

    step: Literal["data"] = Field(description="the band powers")
    name: Text = Field(description="of the band powers")
    source: str = Field(description="a citation, or what they were made of")
    content_sha256: Sha256 = Field(description="of all that a likelihood depends on")


class Posterior(_Object):
    """The samples of the posterior."""

    step: Literal["posterior"] = Field(description="the samples")
    content_sha256: Sha256 = Field(description="of the arrays, as of weights")


class SelfTest(_Object):
    """Predictions made when the record was saved."""

    theta: Table = Field(description="parameters, a row for each prediction")
    mean: Table = Field(description="spectra [uK^2]")
    std: Table | None = Field(description="their standard deviations [uK^2]")
    n_draws: Annotated[int, Field(ge=1, le=1000)] = Field(description="of each prediction")
    seed: Seed = Field(description="of the draws")


class FileEntry(_Object):
    """A file as it was saved."""

    sha256: Sha256 = Field(description="of its bytes")
    size_bytes: Count = Field(description="[bytes]")


Step = Annotated[
    Raw | Condensed | Spectra | TrainingArrays | Split | Weights | EmulatorUsed | Data | Posterior,
    Field(discriminator="step"),
]


class Provenance(_Object):
    """provenance.json: what made the record, and checksums."""

    schema_version: First
    run: Annotated[
        str, Field(pattern=r"^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{8}$", max_length=32)
    ] = Field(description="when it began, or was saved, UTC, and a random number")
    command: list[str] = Field(description="the arguments of the process, as typed")
    working_directory: str | None = Field(description="absolute, if known")
    started_at: Time | None = Field(description="null if the record was saved in one step")
    ended_at: Time | None = Field(description="null if the run has not ended, or was killed")
    wall_time_s: float | None = Field(description="[s]")
    sessions: list[Session] = Field(description="processes that worked on it")
    platform: Platform = Field(description="the machine of the last one")
    software: dict[str, str] = Field(description="versions by name")
    code: Code | None = Field(description="null if it was run from no git repository")
    script: Script | None = _optional("null if it was typed, or lies in the Python environment")
    library: Library | None = _optional("null if reionemu was imported from no git checkout")
    seeds: dict[str, Seed] = Field(description="by what they are of")
    lineage: list[Step] = Field(description="steps to the weights, or samples, in order")
    request: Options | None = Field(description="what the record is the answer to")
    self_test: SelfTest | None = Field(description="null if the record cannot predict")
    files: dict[str, FileEntry] = Field(description="every file but this, by name")
    seal: Sha256 = Field(description="of this file with these digits written as zeros")


class HistoryLine(_Object):
    """A line of history.jsonl: the values of one epoch by name."""

    __pydantic_extra__: dict[str, float]
    epoch: Annotated[int, Field(ge=1, lt=2**63)] = Field(description="from 1")


class WeightsMetadata(_Object):
    """Metadata "reionemu" of weights.safetensors."""

    version: First
    model: Options = Field(description="class_name and the options of the class")


class CompanionsMetadata(_Object):
    """Metadata "reionemu" of companions.safetensors."""

    version: First
    companions: dict[str, Options] = Field(description="by part: calibration, suite, history")


class StoredPosterior(_Object):
    """What is recorded of samples beside arrays."""

    names: list[Text] = Field(description="sampled parameters, in order")
    derived: list[Text] = Field(description="what follows from each sample")
    sampler: Text = Field(description="emcee, nuts or nested")
    is_converged: bool = Field(description="by the criterion")
    criterion: str = Field(description="what was asked, and what was found")
    diagnostics: Options = Field(description="of the sampler")
    priors: dict[str, str] = Field(description="by parameter")
    facts: Options = Field(description="what else is known")
    history: Options = _optional("what there is of the history beside arrays")
    predictive: Options = _optional("the same of predictions of the data")


class PosteriorMetadata(_Object):
    """Metadata "reionemu" of posterior.safetensors."""

    version: First
    posterior: StoredPosterior = Field(description="what the arrays are")


class BandPowersFields(_Object):
    """Band powers with their errors, as `BandPowers` has them."""

    name: Text = Field(description="for people")
    ell: list[float] = Field(description="effective multipoles, (m,)")
    dl: list[float] = Field(description="[uK^2], (m,)")
    covariance: list[list[float]] = Field(description="[uK^4], (m, m)")
    windows: list[list[float]] | None = _optional("(m, w)")
    window_ell: list[float] | None = _optional("multipoles of the windows, (w,)")
    is_total: bool = _optional("whether the late-time effect is in them")
    realization: str = _optional("sky, or emulator for a mock from its own suite")
    map_area: float | None = _optional("of a simulated map [sr]")
    source: str = _optional("a citation, or what they were made of")


class BandPowersDocument(_Object):
    """data.json: the band powers that a posterior is of."""

    schema_version: First
    band_powers: BandPowersFields = Field(description="every field")


class Stages(_Object):
    """Attribute "reionemu_stages" of an HDF5 file: what made it."""

    condense: Options = _optional("CondenseConfig, raw_inventory and more")
    spectra: Options = _optional("ClConfig")
    training_set: Options = _optional("BuildXYConfig")


MODELS: dict[str, type[_Object]] = {
    "info": Info,
    "configs": Configs,
    "results": Results,
    "provenance": Provenance,
    "history": HistoryLine,
    "weights": WeightsMetadata,
    "companions": CompanionsMetadata,
    "posterior": PosteriorMetadata,
    "data": BandPowersDocument,
    "stages": Stages,
}
"""Models by the kind of document. "history" is one line of history.jsonl."""
