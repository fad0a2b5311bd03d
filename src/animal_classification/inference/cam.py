"""Where the model looked: class-activation maps (Zhou et al. 2016), computed from the graph's last feature map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Dark blue over orange to pale yellow: brightness only rises, so it also reads in grey and for colour-blind eyes.
_STOPS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_COLOURS = np.array([(13, 8, 65), (106, 23, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)


def class_activation_map(features: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evidence for a class at each place.

    Args:
        features: float32 ``[D, h, w]``, the graph's ``features`` for one photo.
        weights: float32 ``[D]``, the class's row of the linear head.

    Returns:
        float32 ``[h, w]`` in [0, 1]; evidence against the class is 0, and all is 0 where nothing speaks for it.
    """
    evidence = np.maximum(np.tensordot(weights, features, axes=1), 0.0)
    peak = float(evidence.max())
    result: NDArray[np.float32] = (evidence / peak if peak > 0 else evidence).astype(np.float32)
    return result


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32], *, strength: float = 0.6) -> NDArray[np.uint8]:
    """Lay ``heat`` ``[h, w]`` in [0, 1] over ``pixels`` uint8 ``[H, W, 3]``; places without evidence keep the photo."""
    height, width = pixels.shape[:2]
    grown = Image.fromarray(heat.astype(np.float32), mode="F").resize((width, height), Image.Resampling.BICUBIC)
    value = np.clip(np.asarray(grown, dtype=np.float64), 0.0, 1.0)
    colours = np.stack([np.interp(value, _STOPS, _COLOURS[:, channel]) for channel in range(3)], axis=-1)
    alpha = strength * value[..., None]
    return np.asarray(np.round(pixels * (1.0 - alpha) + colours * alpha), dtype=np.uint8)
