"""``bundle.schema.json``: the same rules as :mod:`schema`, for editors and for readers in other languages.

Regenerate it with ``python -m animal_classification.bundle.json_schema``; a test fails while it is stale.
"""

from __future__ import annotations

import json
from pathlib import Path

from animal_classification.bundle.schema import BundleInfo

SCHEMA_FILE = Path(__file__).with_name("bundle.schema.json")


def schema_text() -> str:
    """The content that ``bundle.schema.json`` must have."""
    schema = BundleInfo.model_json_schema()
    # The model has a default for the sake of code that makes one; on disk the version is what tells old from new.
    schema["required"] = ["schema_version", *schema["required"]]
    document = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
