"""What the servers here have in common."""

import os
import socket
import sys
import threading

import paramiko


def say(*words):
    print(*words, flush=True)


def serve(server, **options):
    """Serves SSH by what `server` makes for each transport. Prints the port and the host key, and ends with standard input.

    `options` go to Paramiko's transport.
    """
    host_key = paramiko.ECDSAKey.generate()

    def accept(listener):
        while True:
            connection, _ = listener.accept()
            transport = paramiko.Transport(connection, **options)
            transport.add_server_key(host_key)
            transport.start_server(server=server(transport), event=threading.Event())

    listener = socket.create_server(("127.0.0.1", 0))
    say(listener.getsockname()[1], host_key.get_name(), host_key.get_base64())
    threading.Thread(target=accept, args=[listener], daemon=True).start()
    sys.stdin.read()
    os._exit(0)
