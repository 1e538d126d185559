"""The last step before a child becomes a node: drop root, promise to die with the parent, then `exec`.

Run as a script, `python -I -S launch.py PARENT_PID SIGNAL USER COMMAND...`, because the same steps in a forked
copy of a threaded parent (`preexec_fn`) can deadlock, and because they must happen in this order:

- a change of user clears the parent-death signal, so the user comes first;
- the signal survives `exec` (of anything not set-uid), so the node, its pid and its start time are ours;
- a parent that died before the promise was made sends no signal, so the parent is looked at once afterwards.

`PR_SET_PDEATHSIG` fires when the *thread* that started the child ends: start nodes from a thread that lives as
long as they should (prctl(2)).

It imports the standard library only: it runs without the virtual environment.
"""

import ctypes
import os
import pwd
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Become `COMMAND` as `USER` ("" keeps the present one), to be sent `SIGNAL` when the parent dies."""
    parent, signal, user, *command = sys.argv[1:]
    if user:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    try:
        os.execvp(command[0], command)  # noqa: S606  (no shell is wanted)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
