"""Objects in the window: names, classes, divisions, tracks, locked frames."""
