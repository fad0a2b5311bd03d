"""What one would write in an afternoon: decode, features, standardise, logistic regression. Prints one object.

Takes a manifest with splits, so that it learns from and is measured on the same photos as `animals train`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from animal_classification import Classifier
from animal_classification.data.manifest import Manifest

STRENGTH = 0.01


def model() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000))


def main(manifest: Path) -> None:
    begun = time.perf_counter()
    photos = Manifest.read(manifest)
    rows = photos.usable
    results = Classifier.load("photos").predict_paths(
        [(row.path, photos.file(row)) for row in rows], top_k=1, embedding=True
    )
    features = np.stack([result.prediction.embedding for result in results])
    labels = np.array([row.label for row in rows])
    test = np.array([row.split == "test" for row in rows])
    fitted = model().fit(features[~test], labels[~test])
    accuracy = float((fitted.predict(features[test]) == labels[test]).mean())
    print(json.dumps({"seconds": time.perf_counter() - begun, "accuracy": accuracy}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
