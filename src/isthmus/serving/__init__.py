"""Serving: one process or several, from a socket to a graceful end, with what they do in the background."""
