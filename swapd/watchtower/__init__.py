"""The watchtower: a second machine without swapd's keys, that finishes swaps when the first one is gone.

`packet.py` is what it is told of a swap, `export.py` how swapd tells it; all else runs on the second machine. See
`docs/watchtower.md`.
"""
