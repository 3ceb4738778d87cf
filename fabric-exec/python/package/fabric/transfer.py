"""Files from and to a host (Fabric 2 and 3)."""

import os
import posixpath
import stat

from ._wire import EngineError


class Result(object):
    """What came of a transfer: ``local`` and ``remote`` are absolute paths, or file-like objects."""

    def __init__(self, local, orig_local, remote, orig_remote, connection):
        self.local, self.orig_local = local, orig_local
        self.remote, self.orig_remote = remote, orig_remote
        self.connection = connection


class Transfer(object):
    """Gets and puts files of a connection."""

    def __init__(self, connection):
        self.connection = connection

    @property
    def sftp(self):
        return self.connection.sftp()

    def is_remote_dir(self, path):
        return self.connection._stat(path) == "directory"

    def get(self, remote, local=None, preserve_mode=True):
        """Gets a file: to ``local`` (``{host}``, ``{user}``, ``{port}``, ``{dirname}`` and ``{basename}`` stand for the host's and
        the file's; a path that ends in ``/`` is a directory), a file-like object, or its own name here."""
        if not remote:
            raise ValueError("Remote path must not be empty!")
        orig_remote, orig_local = remote, local
        remote = str(remote)
        if hasattr(local, "write") and callable(local.write):
            frame = self._ask("get", {"remote": remote, "bytes": True})
            local.write(frame.raw)
            return Result(local, orig_local, _one(frame.header, "remote", remote), orig_remote, self.connection)
        base = posixpath.basename(remote.rstrip("/"))
        if not local:
            local = base
        else:
            info = self.connection
            local = str(local).format(host=info.host, user=info.user, port=info.port, dirname=posixpath.dirname(remote), basename=base)
            if local.endswith("/"):
                os.makedirs(local, exist_ok=True)
                local = os.path.join(local, base)
        local = os.path.abspath(local)
        if os.path.isdir(local):
            raise IsADirectoryError(21, "Is a directory", local)
        os.makedirs(os.path.dirname(local), exist_ok=True)
        header = {"remote": remote, "local": local.replace("{", "{{").replace("}", "}}"), "mirror": bool(preserve_mode), "glob": False}
        frame = self._ask("get", header)
        return Result(local, orig_local, _one(frame.header, "remote", remote), orig_remote, self.connection)

    def put(self, local, remote=None, preserve_mode=True):
        """Puts a file or a file-like object: to ``remote``, a path or a directory, or into the login directory."""
        if not local:
            raise ValueError("Local path must not be empty!")
        orig_local, orig_remote = local, remote
        header, raw = {"glob": False}, b""
        is_file_like = hasattr(local, "write") and callable(local.write) or hasattr(local, "read")
        if is_file_like:
            from ._calls import _content

            name = getattr(local, "name", None)
            name = os.path.basename(name) if isinstance(name, str) else None
            if not remote and not name:
                raise ValueError("Must give non-empty remote path when local is a file-like object!")
            header["bytes"], raw = True, _content(local)
        else:
            local = os.path.abspath(os.path.expanduser(str(local)) if False else str(local))
            if not os.path.exists(local):
                raise FileNotFoundError(2, "No such file or directory", local)
            if os.path.isdir(local):
                raise IsADirectoryError(21, "Is a directory", local)
            name = os.path.basename(local)
            header["local"] = local
            if preserve_mode:
                header["mode"] = stat.S_IMODE(os.stat(local).st_mode)
        remote = str(remote) if remote else name
        if is_file_like and name and remote.endswith("/"):
            remote += name
        header["remote"] = remote
        frame = self._ask("put", header, raw)
        return Result(local, orig_local, _one(frame.header, "remote", remote), orig_remote, self.connection)

    def _ask(self, verb, header, raw=b""):
        from ._engine import engine
        from ._invoke import failure

        header["quiet"] = not engine.within_fab
        try:
            frame = self.connection._ask(verb, header, raw)
        except EngineError as error:
            raise failure(error)
        for path, reason in frame.header.get("failed", []):
            raise OSError("%s: %s" % (path, reason))
        return frame


def _one(header, name, other):
    paths = header.get(name) or []
    return paths[0] if paths else other
