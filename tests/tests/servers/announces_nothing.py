"""An SSH server that announces no signature algorithms (RFC 8308), as older servers and devices.

Takes the public key given as its argument for anybody. Prints its port and its host key, then a line for each request to
log in. Ends with its standard input.
"""

import base64
import sys
import threading

import paramiko

from serving import say, serve

wanted = paramiko.RSAKey(data=base64.b64decode(sys.argv[1].split()[1]))


class Server(paramiko.ServerInterface):
    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_none(self, username):
        say("none")
        return paramiko.AUTH_FAILED

    def check_auth_publickey(self, username, key):
        say("publickey", "taken" if key == wanted else "refused")
        return paramiko.AUTH_SUCCESSFUL if key == wanted else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        def run():
            channel.sendall(b"ran " + command + b"\n")
            channel.send_exit_status(0)
            channel.close()

        threading.Thread(target=run, daemon=True).start()
        return True


serve(lambda transport: Server(), server_sig_algs=False)
