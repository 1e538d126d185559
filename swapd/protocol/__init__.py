"""What a swap is and what to do next: frozen values and pure functions.

Nothing here knows the time, a network, a database or the name of a chain. Imports: the standard library and
`swapd.errors`. The heart is `decide.py`.
"""
