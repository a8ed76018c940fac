"""The Flask side of the dashboard that is not a view."""
