"""From the ``dataset:`` section of a configuration to a data set."""

from __future__ import annotations

import os
from pathlib import Path

from data.loading import load, resolve_source
from facehash.config import DatasetConfig
from facehash.dataset import FaceDataset


def find(config: DatasetConfig, data_option: Path | None, config_dir: Path) -> Path:
    """Find where the configured data lies; see `data.loading.resolve_source`."""
    configured = Path(config.path) if config.path is not None else None
    return resolve_source(config.name, data_option, os.environ, configured, config_dir)


def load_configured(config: DatasetConfig, source: Path) -> FaceDataset:
    """Load the configured data from `source`; see `data.loading.load`."""
    return load(
        config.name,
        loader=config.loader,
        source=source,
        side=config.side,
        crop=config.crop,
        protocol=config.protocol,
        seed=config.split_seed,
        queries_per_identity=config.queries_per_identity,
        max_per_identity=config.max_per_identity,
    )
