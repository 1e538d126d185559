"""The shell: it looks at the chains, asks the core, and does what the core says. See `docs/architecture.md`."""
