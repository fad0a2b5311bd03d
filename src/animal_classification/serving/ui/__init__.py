"""The pages: Classify at ``/``, Review, Model, Monitor. Plain HTML and scripts that ask the API, with a key if need be.

``pages`` has their routes; ``static`` has everything else. They come from this machine alone and are one level deep, so
that relative addresses work under any prefix. No script or style is inline: the content policy refuses it.
"""
