"""Isthmus: every tool that speaks to AWS runs a private cloud."""

__version__ = "0.1.0"
