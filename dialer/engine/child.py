"""Become another program, but die with the parent.

Run as a script, between the engine and a server that it embeds::

    python -I -S child.py PARENT SIGNAL -- program argument...

The kernel is asked to send SIGNAL when the parent ends, however it ends (SIGKILL included), and then
this process becomes the program; a SIGNAL of 0 asks for nothing. It is a script and not a function
called after fork, because a fork of a process with threads may not run Python in the child.

It imports next to nothing: it is a part of the start-up time of everything embedded.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHAN = 117
"""The parent was gone before the kernel could be asked."""
EXIT_NO_PROGRAM = 118


def main(args: list[str]) -> int:
    """Set the parent-death signal, then replace this process by the program. Returns only on failure."""
    parent, signal_number, program = int(args[0]), int(args[1]), args[3:]
    # what the program writes (recordings, logs, sockets) is for its user alone
    os.umask(0o077)
    if signal_number:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
            print(f"prctl: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            return EXIT_ORPHAN
        if os.getppid() != parent:
            return EXIT_ORPHAN
    try:
        os.execv(program[0], program)
    except OSError as error:
        print(f"{program[0]}: {error.strerror}", file=sys.stderr)
    return EXIT_NO_PROGRAM


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
