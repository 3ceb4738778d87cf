"""parallel-ssh (ssh2-python)."""

from gevent import joinall
from pssh.clients import ParallelSSHClient, SSHClient

from common import ADDRESS, ARGS, CONCURRENCY, HOSTS, JOB, KEY, PORT, USER, unsupported

# It has no check of host keys.
if JOB == "fanout":
    client = ParallelSSHClient(
        [address for address, _ in HOSTS], user=USER, port=PORT, pkey=KEY, pool_size=CONCURRENCY, allow_agent=False
    )
    for output in client.run_command(ARGS[0]):
        for line in output.stdout:
            print(f"[{output.host}] {line}")
        output.client.wait_finished(output)
        assert output.exit_code == 0, output.host
elif JOB == "many":
    client = SSHClient(ADDRESS, user=USER, port=PORT, pkey=KEY, allow_agent=False)
    for _ in range(int(ARGS[0])):
        output = client.run_command(ARGS[1])
        client.wait_finished(output)
        assert output.exit_code == 0
elif JOB in ("put", "get", "puttree", "gettree"):
    client = ParallelSSHClient([ADDRESS], user=USER, port=PORT, pkey=KEY, allow_agent=False)
    if JOB.startswith("put"):
        joinall(client.copy_file(*ARGS, recurse=JOB == "puttree"), raise_error=True)
    else:
        # It adds the host's name to what it writes.
        joinall(client.copy_remote_file(*ARGS, recurse=JOB == "gettree", suffix_separator=""), raise_error=True)
        import os

        os.rename(ARGS[1] + ADDRESS, ARGS[1])
else:
    unsupported()
