"""Whole swaps against fake chains, by the hundred thousand: see docs/simulation.md."""
