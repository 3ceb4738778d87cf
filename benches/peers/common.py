"""What adapters in Python share: what they are asked for, and where."""

import os
import sys

JOB, ARGS = sys.argv[1], sys.argv[2:]
with open(os.environ["BENCH_HOSTS"]) as file:
    HOSTS = [(line.rsplit(":", 1)[0], int(line.rsplit(":", 1)[1])) for line in file.read().split()]
ADDRESS, PORT = HOSTS[0] if HOSTS else (None, None)
USER, KEY = os.environ["BENCH_USER"], os.environ["BENCH_KEY"]
KNOWN_HOSTS, SSH_CONFIG = os.environ["BENCH_KNOWN_HOSTS"], os.environ["BENCH_SSH_CONFIG"]
CONCURRENCY = int(os.environ.get("BENCH_CONCURRENCY", 100))


def unsupported():
    sys.exit(f"this adapter does not do {JOB}")
