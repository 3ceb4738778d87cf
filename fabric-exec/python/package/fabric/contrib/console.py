"""Yes or no (Fabric 1)."""

from fabric.operations import prompt  # noqa: F401
from fabric.utils import handle_prompt_abort


def confirm(question, default=True):
    """Asks a person: an empty answer is ``default``."""
    handle_prompt_abort("a user-specified console.confirm() call")
    suffix = "Y/n" if default else "y/N"
    while True:
        from fabric import _engine

        _engine.flush()
        response = input("%s [%s] " % (question, suffix)).lower()
        if not response:
            return default
        if response in ("y", "yes"):
            return True
        if response in ("n", "no"):
            return False
        print("I didn't understand you. Please specify '(y)es' or '(n)o'.")
