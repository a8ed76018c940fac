"""The Flask side of both servers that is not a view."""
