"""Replace this process by a program that dies with its parent: `tether.py PARENT SIGNAL UID PROGRAM [ARGUMENT...]`.

A script of its own, because what it does must happen between fork and exec and a threaded parent may not do it there.
With a UID it drops root first (PostgreSQL refuses to run as root), keeping only the right to pass closed directories,
so that a home or a virtual environment under /root works and no permission on the way is changed.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE, CAPABILITY_VERSION_3 = 1, 0x20080522


def become(libc: ctypes.CDLL, uid: int) -> None:
    """Become the user for good, with the one capability kept across exec (see capabilities(7), ambient set)."""
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    mask = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    libc.capset(header, effective_permitted_inheritable)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main() -> None:
    """Drop rights, tie the life to the parent's, become the program."""
    parent, signal, uid = map(int, sys.argv[1:4])
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if uid:
            become(libc, uid)
        libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)  # after the change of user, which would clear it
    elif uid:
        os.setgid(uid)
        os.setuid(uid)
    if os.getppid() != parent:  # it died before the tie was made
        sys.exit(1)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606  no shell is wanted


if __name__ == "__main__":
    main()
