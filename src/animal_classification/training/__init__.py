"""From labelled photos to a bundle: recipes, and runs that continue after a kill.

May import every room below it; only `training.neural` imports torch, and is imported by its name in `recipes`.
"""
