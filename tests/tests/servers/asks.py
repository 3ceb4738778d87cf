"""An SSH server that asks, in the way that its argument names:

* `endless`: by keyboard-interactive, for a code, without end;
* `silent`: the same without a question, as servers do to show a text;
* `slow`: the same, each time just within the client's limit;
* `change`: answers a password by the request for a new one (RFC 4252, section 8), and then with nothing.

Prints its port and its host key, then a line for each question. Ends with its standard input.
"""

import sys
import threading
import time

import paramiko

from serving import say, serve

way = sys.argv[1]
PASSWD_CHANGEREQ = b"\x3c"


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "password" if way == "change" else "keyboard-interactive"

    def check_auth_password(self, username, password):
        say("password")
        message = paramiko.Message()
        message.add_byte(PASSWD_CHANGEREQ)
        message.add_string("Your password has expired")
        message.add_string("")
        self.transport._send_message(message)
        threading.Event().wait()

    def question(self):
        if way == "slow":
            time.sleep(0.3)
        say("asked")
        query = paramiko.InteractiveQuery("", "Please wait" if way != "endless" else "")
        if way == "endless":
            query.add_prompt("Code: ", False)
        return query

    def check_auth_interactive(self, username, submethods):
        return self.question()

    def check_auth_interactive_response(self, responses):
        return self.question()


serve(Server)
