"""`python -m serving.embedded`."""

from __future__ import annotations

import sys

from serving.embedded import main

sys.exit(main(sys.argv[1:]))
