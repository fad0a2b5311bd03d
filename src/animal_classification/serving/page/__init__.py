"""The page at ``/``: drop in photos, read what they show.

``words`` says an answer in plain English, ``pictures`` draws, ``answers`` fills the HTML templates, ``blocks`` puts it
together with Gradio, which nothing else in this package imports. No state is kept between two
visits. The tabs beside it are in ``serving.tabs``.
"""
