"""One flow a file; `cli/` is the command line. Wherever a flow runs, a Fault is said once and without a traceback."""

from flows.quiet import only_what_matters

only_what_matters()
