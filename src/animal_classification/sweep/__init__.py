"""Many trainings, to find good settings: a study of trials that several processes and machines may share.

Optuna decides what is tried; ``trials`` that none is lost or done twice. Needs the extra ``sweep``.
"""
