"""An inspection as one HTML page that needs nothing else: no script, no network, no other file."""

from animal_classification.report.dataset.dataset_page import write_page

__all__ = ["write_page"]
