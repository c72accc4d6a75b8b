"""`python -m napari_sam3.cli`."""

import sys

from napari_sam3.cli import main

sys.exit(main())
