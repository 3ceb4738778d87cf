"""An SSH server that takes one session at a time, and counts one that has ended for a while longer, as some devices.

Lets anybody in. Prints its port and its host key, then a line for each session. Ends with its standard input.
"""

import threading
import time

import paramiko

from serving import say, serve

codes = [
    paramiko.OPEN_FAILED_CONNECT_FAILED,
    paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    paramiko.OPEN_FAILED_RESOURCE_SHORTAGE,
]


class Server(paramiko.ServerInterface):
    def __init__(self):
        self.busy = False
        self.refuse = 0

    def get_allowed_auths(self, username):
        return "none"

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        if self.busy:
            say("two at once")
            return codes[0]
        if self.refuse:
            self.refuse -= 1
            say("refused")
            return codes[self.refuse % len(codes)]
        self.busy = True
        say("taken")
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        def run():
            channel.sendall(b"ran " + command + b"\n")
            channel.send_exit_status(0)
            channel.shutdown_write()
            # The end of the channel comes late, and isn't the end of the session either.
            time.sleep(0.2)
            self.refuse = 3
            self.busy = False
            channel.close()

        threading.Thread(target=run, daemon=True).start()
        return True


serve(lambda transport: Server())
