"""Hyperparameter search: a study of trials that several processes and machines can share.

Optuna chooses the values; `trials` makes sure that none is lost or run twice. Needs the extra `sweep`.
"""
