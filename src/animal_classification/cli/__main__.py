"""``python -m animal_classification.cli``."""

import sys

from animal_classification.cli.main import main

sys.exit(main())
