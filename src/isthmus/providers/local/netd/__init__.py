"""The networks of the local cloud, run by a daemon of their own that outlives Isthmus: what is wanted is a `Plan`."""
