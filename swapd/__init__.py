"""swapd: a coordinator of atomic swaps between chains."""
