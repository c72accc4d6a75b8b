"""The work on a video as the window keeps it: saved as it grows, opened again as it was."""
