"""Training arrays as tensors: one way to split, one way to normalize, used by everything."""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DataLoaderConfig": ".dataloaders",
        "Normalizer": ".normalization",
        "TrainingSet": ".arrays",
        "load_training_arrays": ".arrays",
        "load_training_set": ".arrays",
        "make_dataloaders": ".dataloaders",
    },
)
