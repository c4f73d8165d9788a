"""The default pipeline, with photos that end the process that reads them."""

import functools
import os
from dataclasses import replace

from facehash.detectors.registry import make_detector
from facehash.pipeline import default_pipeline
from tests.library.fakes import DEADLY


class Poisoned:
    """A detector that dies of a photo whose first pixel is `DEADLY`."""

    def __init__(self, name, weights_dir):
        self._detector = make_detector(name, weights_dir)
        self.identity = self._detector.identity

    def detect(self, image):
        if tuple(image[0, 0]) == DEADLY:
            os._exit(9)
        return self._detector.detect(image)


def poisoned(detector, embedder, weights_dir=None):
    """Return a `PipelineSpec`; bind `weights_dir` by functools.partial."""
    spec = default_pipeline(detector, embedder, weights_dir)
    return replace(spec, make_detector=functools.partial(Poisoned, weights_dir=weights_dir))
