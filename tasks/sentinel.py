"""A tiny process that outlives the supervisor by a second: it ends what a killed supervisor leaves behind.

It holds one end of a pipe and waits. When the supervisor ends, in whatever way, the pipe closes.
"""

import os
import sys

from tasks.processes import TOKEN, end_all


def main() -> None:
    """Wait for the supervisor's end, then end every process with its token."""
    sys.stdin.buffer.read()
    end_all(os.environ[TOKEN])


if __name__ == "__main__":
    main()
