"""What layers of a project say of themselves in their metadata: whose they are, and what."""

from __future__ import annotations

FOLDER, ROLE = "sam3_project", "sam3_role"
"""Names in a layer's metadata: the project that it is of, and what it is there."""


VIDEO, RESULTS, POINTS, BOXES, MASKS = "video", "results", "points", "boxes", "masks"
