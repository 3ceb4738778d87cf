"""The program, started from Python."""

import os
import sys


class Program(object):
    """``fab`` itself: ``program.run("fab deploy")``."""

    def run(self, argv=None, exit=True):
        """Runs ``fab`` with these arguments, and ends this program as it ends unless ``exit`` is false."""
        import shlex
        import subprocess

        from . import _engine

        words = sys.argv if argv is None else (shlex.split(argv) if isinstance(argv, str) else list(argv))
        _engine.flush()
        status = subprocess.call([_engine.find_fab()] + list(words[1:]))
        if exit:
            sys.exit(status)
        return status


class Fab(Program):
    pass


program = Program()


def make_program():
    return program


def main():
    """The program ``fab`` of this environment: becomes the one in this package."""
    from . import _engine

    _warn_of_another()
    path = _engine.find_fab()
    os.environ.setdefault("FABRIC_PYTHON", sys.executable)
    os.execv(path, ["fab"] + sys.argv[1:])


def _warn_of_another():
    """Two packages of one name: whichever was installed last has its files over the other's."""
    from . import _engine

    site = os.path.dirname(_engine.HERE)
    others = ("fabric-", "Fabric-", "fab_classic-", "fabric3-", "Fabric3-")
    try:
        found = [name for name in os.listdir(site) if name.startswith(others) and name.endswith(".dist-info")]
    except OSError:
        found = []
    for name in found:
        sys.stderr.write("Warning: %s is installed too, and has the same package `fabric`: pip uninstall one of them\n" % name[:-10])
