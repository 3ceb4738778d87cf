"""Runs fab-classic: a line of JSON with `dir` and `args` comes in, one with `out` and `status` goes out.

The library is imported once; every run is the program's own `main` in a fork, so that none sees another's `env`.
"""

import json
import os
import sys
import traceback

import fabric.main


def run(case, out):
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(case["dir"])
    sys.argv = ["fab"] + case["args"]
    try:
        fabric.main.main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


for line in sys.stdin:
    case = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        run(case, write)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        out = stream.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"out": out, "status": status}), flush=True)
