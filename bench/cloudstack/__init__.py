"""The bench over an emulated CloudStack."""
