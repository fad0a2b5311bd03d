"""The report of an evaluation: one page and a model card, and the check that what they say is what is measured.

Every number that is shown goes through :class:`~animal_classification.report.numbers.Ledger`, under a key;
``checking`` measures again and compares. Jinja2 (extra ``evaluate``) is needed by ``page`` alone.
"""
