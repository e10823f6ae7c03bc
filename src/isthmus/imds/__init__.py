"""The metadata service: what a guest may read about itself at 169.254.169.254."""
