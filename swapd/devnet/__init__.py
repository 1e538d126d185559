"""Real nodes on this machine for the demo, the tests and the command line: bitcoind, anvil, replica, PostgreSQL.

No room above `devnet` may be needed to run a swap, and none of swapd's other rooms imports it except the
command line. Everything binds to loopback, lives in one folder and dies with the process that started it.
"""
