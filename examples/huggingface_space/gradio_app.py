"""Gradio's front end by itself, as a Hugging Face Space runs it: ``python gradio_app.py``."""

import os
import tempfile
from pathlib import Path
from threading import Thread

# Before Gradio is imported: a folder of our own for what visitors send, in which everything is deleted.
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="animals-space-"))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from animal_classification import Classifier
from animal_classification.serving.ui.gradio_app import ClassifierBackend, make_demo
from animal_classification.serving.ui.gradio_host import sweep_forever

MOST_BYTES = 32 * 1024 * 1024  # of one photo

demo = make_demo(ClassifierBackend(Classifier.load(os.environ.get("ANIMALS_MODEL", "photos"))))

if __name__ == "__main__":
    Thread(target=sweep_forever, args=[Path(os.environ["GRADIO_TEMP_DIR"])], daemon=True).start()
    demo.launch(max_file_size=MOST_BYTES, footer_links=["api"], run_history=False)
