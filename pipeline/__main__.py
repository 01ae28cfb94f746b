"""`python -m pipeline` is `leaktrace`."""

import sys

from pipeline.cli import main

sys.exit(main())
