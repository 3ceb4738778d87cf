"""asyncssh."""

import asyncio

import asyncssh

from common import ADDRESS, ARGS, CONCURRENCY, HOSTS, JOB, KEY, KNOWN_HOSTS, PORT, USER, unsupported


def connect(address, port):
    return asyncssh.connect(
        address, port, username=USER, client_keys=[KEY], known_hosts=KNOWN, agent_path=None, config=None
    )


async def fan_out(command):
    slots = asyncio.Semaphore(CONCURRENCY)

    async def one(address, port):
        async with slots, connect(address, port) as connection:
            async with connection.create_process(command) as process:
                async for line in process.stdout:
                    print(f"[{address}] {line}", end="")
                await process.wait(check=True)

    await asyncio.gather(*(one(*host) for host in HOSTS))


async def main():
    if JOB == "fanout":
        return await fan_out(*ARGS)
    async with connect(ADDRESS, PORT) as connection:
        if JOB == "many":
            for _ in range(int(ARGS[0])):
                await connection.run(ARGS[1], check=True)
            return
        async with connection.start_sftp_client() as sftp:
            if JOB in ("put", "puttree"):
                await sftp.put(*ARGS, recurse=JOB == "puttree")
            elif JOB in ("get", "gettree"):
                await sftp.get(*ARGS, recurse=JOB == "gettree")
            else:
                unsupported()


KNOWN = asyncssh.read_known_hosts(KNOWN_HOSTS)
asyncio.run(main())
