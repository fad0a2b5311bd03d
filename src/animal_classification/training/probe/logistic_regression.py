"""The linear algebra of the head: an orthogonal basis, and multinomial logistic regression in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animal_classification.common.softmax import softmax

Floats = NDArray[np.float64]

_RANK = 1e-9
_MEMORY = 10
_BIAS_STRENGTH = 1e-8
_SUFFICIENT = 1e-4
_SMALLEST_STEP = 1e-6


def basis(rows: Floats, *, width: int | None = None) -> Floats:
    """Principal directions of centred rows, the strongest first.

    Args:
        rows: ``[N, D]``.
        width: At most so many.

    Returns:
        Orthonormal columns ``[D, R]`` that span the rows where ``width`` allows it.
    """
    count, depth = rows.shape
    if count < depth:
        values, vectors = np.linalg.eigh(rows @ rows.T)
    else:
        values, vectors = np.linalg.eigh(rows.T @ rows)
    keep = np.flatnonzero(values > values[-1] * _RANK)[::-1][:width]
    if not len(keep):
        return np.zeros((depth, 1))
    if count < depth:
        result: Floats = rows.T @ (vectors[:, keep] / np.sqrt(values[keep]))
        return result
    return np.ascontiguousarray(vectors[:, keep])


@dataclass(frozen=True)
class Problem:
    """What a logistic regression is fitted to.

    Attributes:
        rows: ``[N, R]``, centred.
        targets: Class numbers ``[N]``.
        weights: Of the rows, ``[N]``, adding up to one.
        classes: How many there are.
    """

    rows: Floats
    targets: NDArray[np.int64]
    weights: Floats
    classes: int


def logistic(problem: Problem, strength: float, *, start: Floats | None = None, steps: int = 100) -> Floats:
    """Minimise the weighted mean cross-entropy plus ``strength / 2`` times the squared weights, by L-BFGS.

    Args:
        problem: What to fit.
        strength: Of the regularisation; the bias is free of it.
        start: Where to begin: weights and, last, the bias, ``[R + 1, C]``.
        steps: At most so many.

    Returns:
        Weights and, last, the bias, ``[R + 1, C]``.
    """
    rows = np.hstack([problem.rows, np.ones((len(problem.rows), 1))])
    penalty = np.full(rows.shape[1], strength)
    penalty[-1] = _BIAS_STRENGTH
    # Coordinates in which the curvature is about one everywhere: ten times fewer steps.
    scale = 1 / np.sqrt((problem.weights @ rows**2) / problem.classes + penalty)
    rows, penalty = rows * scale, (penalty * scale**2)[:, None]
    wanted = np.eye(problem.classes)[problem.targets]

    def loss(flat: Floats) -> tuple[float, Floats]:
        weight = flat.reshape(rows.shape[1], -1)
        probabilities = softmax(rows @ weight)
        own = probabilities[np.arange(len(rows)), problem.targets]
        value = -float(problem.weights @ np.log(np.maximum(own, 1e-300))) + 0.5 * float((penalty * weight**2).sum())
        gradient = rows.T @ (problem.weights[:, None] * (probabilities - wanted)) + penalty * weight
        return value, gradient.ravel()

    first = np.zeros((rows.shape[1], problem.classes)) if start is None else start / scale[:, None]
    solution: Floats = _lbfgs(loss, first.ravel(), steps).reshape(rows.shape[1], -1) * scale[:, None]
    return solution


def _lbfgs(
    loss: Callable[[Floats], tuple[float, Floats]], point: Floats, steps: int, tolerance: float = 1e-5
) -> Floats:
    value, gradient = loss(point)
    moves: list[tuple[Floats, Floats, float]] = []
    for _ in range(steps):
        direction = _direction(gradient, moves)
        slope, length = float(gradient @ direction), 1.0
        while True:
            candidate = point - length * direction
            new_value, new_gradient = loss(candidate)
            if new_value <= value - _SUFFICIENT * length * slope or length < _SMALLEST_STEP:
                break
            length /= 2
        move, turn = candidate - point, new_gradient - gradient
        curvature = float(move @ turn)
        if curvature > 1e-14:
            moves = [*moves, (move, turn, curvature)][-_MEMORY:]
        improvement = value - new_value
        point, value, gradient = candidate, new_value, new_gradient
        if improvement < tolerance * max(abs(value), 1e-12):
            break
    return point


def _direction(gradient: Floats, moves: list[tuple[Floats, Floats, float]]) -> Floats:
    """The two-loop recursion (Nocedal and Wright, algorithm 7.4)."""
    direction, factors = gradient.copy(), []
    for move, turn, curvature in reversed(moves):
        factor = float(move @ direction) / curvature
        factors.append(factor)
        direction -= factor * turn
    if moves:
        _, turn, curvature = moves[-1]
        direction *= curvature / float(turn @ turn)
    for (move, turn, curvature), factor in zip(moves, reversed(factors), strict=True):
        direction += (factor - float(turn @ direction) / curvature) * move
    return direction
