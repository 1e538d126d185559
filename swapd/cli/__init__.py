"""The terminal's side of swapd: the same verbs that the service has, for people and for scripts (`--json`)."""
