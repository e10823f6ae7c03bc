"""The bench over a real OpenStack."""
