"""Import a program, and run it when the word comes: so a service is imported while the broker that it needs boots.

`python -m deploy.embedded.held MODULE`; the word is the end of standard input, and what runs is the module's `main`.
The death of the supervisor looks like the word too: there the tether kills this process, which only Linux can do. On
another system it would run on alone; that cannot be mended here, for once it runs nothing is left to read.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    program = import_module(sys.argv[1])
    sys.stdin.read()
    program.main()
