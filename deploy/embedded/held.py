"""Import a program, and run it when the word comes: so a service is imported while the broker that it needs boots.

`python -m deploy.embedded.held MODULE`; the word is the end of standard input, and what runs is the module's `main`.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    program = import_module(sys.argv[1])
    sys.stdin.read()
    program.main()
