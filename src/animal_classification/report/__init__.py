"""Reports as pages: of an evaluation, with a model card and the check that both say what is measured; and of photos.

May import ``evaluation`` and what lies below. Training and exports import ``model_card`` for the card of a bundle.
"""
