"""The tabs beside the page: review, model, monitor. Plain HTML, CSS and JavaScript from this machine, and no Gradio.

They hold no data: what they show comes from the API, which a browser asks with the key that a person types in, where
keys are wanted. So they are there when the API is, with any number of workers, and their content policy allows no
inline code.
"""
