"""What takes the place of Paramiko's client, transport and files."""

import io
import shlex

from ._invoke import failure
from ._wire import EngineError


class SFTPClient(object):
    """The host's files, as Paramiko's ``SFTPClient`` has them."""

    def __init__(self, connection):
        self._connection = connection

    def _do(self, what, path="", raw=b""):
        try:
            return self._connection._ask("sftp", {"what": what, "path": str(path)}, raw)
        except EngineError as error:
            raise failure(error)

    def _shell(self, command):
        result = self._connection.run(command, hide=True, warn=True, pty=False)
        if not result.ok:
            raise OSError((result.stderr or result.stdout).strip())
        return result.stdout

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        pass

    def chdir(self, path=None):
        self._do("chdir", path or "")

    def getcwd(self):
        return self._do("getcwd").header.get("path")

    def open(self, filename, mode="r", bufsize=-1):
        return SFTPFile(self, str(filename), mode)

    file = open

    def listdir(self, path="."):
        return [name for name in self._shell("ls -A -- %s" % shlex.quote(str(path))).splitlines() if name]

    def mkdir(self, path, mode=0o777):
        self._shell("mkdir -m %o -- %s" % (mode, shlex.quote(str(path))))

    def rmdir(self, path):
        self._shell("rmdir -- %s" % shlex.quote(str(path)))

    def remove(self, path):
        self._shell("rm -- %s" % shlex.quote(str(path)))

    unlink = remove

    def rename(self, old, new):
        self._shell("mv -- %s %s" % (shlex.quote(str(old)), shlex.quote(str(new))))

    posix_rename = rename

    def chmod(self, path, mode):
        self._shell("chmod %o -- %s" % (mode, shlex.quote(str(path))))

    def symlink(self, source, dest):
        self._shell("ln -s -- %s %s" % (shlex.quote(str(source)), shlex.quote(str(dest))))

    def normalize(self, path):
        return self._shell("readlink -f -- %s" % shlex.quote(str(path))).rstrip("\n")

    def stat(self, path):
        try:
            text = self._shell("stat -L -c '%%f %%s %%u %%g %%X %%Y' -- %s" % shlex.quote(str(path)))
        except OSError as error:
            raise FileNotFoundError(2, str(error))
        return SFTPAttributes(*text.split())

    def lstat(self, path):
        text = self._shell("stat -c '%%f %%s %%u %%g %%X %%Y' -- %s" % shlex.quote(str(path)))
        return SFTPAttributes(*text.split())

    def get(self, remotepath, localpath, callback=None, prefetch=True, max_concurrent_prefetch_requests=None):
        self._connection.get(remotepath, localpath)

    def put(self, localpath, remotepath, callback=None, confirm=True):
        self._connection.put(localpath, remotepath)
        return self.stat(remotepath)

    def getfo(self, remotepath, fl, callback=None, prefetch=True, max_concurrent_prefetch_requests=None):
        raw = self._do("read", remotepath).raw
        fl.write(raw)
        return len(raw)

    def putfo(self, fl, remotepath, file_size=0, callback=None, confirm=True):
        self._do("write", remotepath, fl.read())
        return self.stat(remotepath)


class SFTPAttributes(object):
    def __init__(self, mode, size, uid, gid, atime, mtime):
        self.st_mode, self.st_size = int(mode, 16), int(size)
        self.st_uid, self.st_gid, self.st_atime, self.st_mtime = int(uid), int(gid), int(atime), int(mtime)


class SFTPFile(io.BytesIO):
    """A file of the host: read when it is opened, written when it is closed."""

    def __init__(self, client, path, mode):
        self._client, self._path, self._mode = client, path, mode
        self._writes = any(letter in mode for letter in "wa+x")
        content = b""
        if "r" in mode or "a" in mode:
            try:
                content = client._do("read", path).raw
            except FileNotFoundError:
                if "a" not in mode:
                    raise
        super(SFTPFile, self).__init__(content)
        if "a" in mode:
            self.seek(0, 2)
        self._text = "b" not in mode

    def write(self, data):
        return super(SFTPFile, self).write(data.encode("utf-8") if isinstance(data, str) else data)

    def prefetch(self, file_size=None):
        pass

    def flush(self):
        if self._writes and not self.closed:
            self._client._do("write", self._path, self.getvalue())

    def close(self):
        if not self.closed:
            self.flush()
            super(SFTPFile, self).close()


class Client(object):
    """What takes the place of ``paramiko.SSHClient``."""

    def __init__(self, connection):
        self._connection = connection

    def set_missing_host_key_policy(self, policy):
        name = policy.__name__ if isinstance(policy, type) else type(policy).__name__
        overrides = self._connection.connect_kwargs
        if name == "AutoAddPolicy":
            import sys

            sys.stderr.write("Warning: AutoAddPolicy: unknown host keys are recorded anyway; one that has changed is refused\n")
            return
        if name == "RejectPolicy":
            raise NotImplementedError("RejectPolicy: set reject_unknown_hosts in fabric.toml, or StrictHostKeyChecking in ssh_config")
        if name == "WarningPolicy":
            return
        raise NotImplementedError("a host key policy of one's own (%s) can't be asked here: %r" % (name, overrides))

    def load_system_host_keys(self, filename=None):
        pass

    def load_host_keys(self, filename):
        raise NotImplementedError("load_host_keys: set system_known_hosts in fabric.toml, or UserKnownHostsFile in ssh_config")

    def get_transport(self):
        return Transport(self._connection)

    def open_sftp(self):
        return self._connection.sftp()

    def close(self):
        self._connection.close()

    def exec_command(self, command, bufsize=-1, timeout=None, get_pty=False, environment=None):
        result = self._connection.run(command, hide=True, warn=True, timeout=timeout, pty=get_pty, env=environment or {})
        out, err = io.BytesIO(result.stdout.encode("utf-8")), io.BytesIO(result.stderr.encode("utf-8"))
        for stream in (out, err):
            stream.channel = _Channel(result)
        return io.BytesIO(), out, err


class _Channel(object):
    def __init__(self, result):
        self._result = result

    def recv_exit_status(self):
        return self._result.exited

    def exit_status_ready(self):
        return True


class Transport(object):
    """What takes the place of ``paramiko.Transport``."""

    def __init__(self, connection):
        self._connection = connection

    active = property(lambda self: self.is_active())

    def is_active(self):
        return self._connection.is_connected

    def is_authenticated(self):
        return self._connection.is_connected

    def set_keepalive(self, interval):
        pass

    def getpeername(self):
        return (self._connection.host, self._connection.port)

    def close(self):
        self._connection.close()

    def __getattr__(self, name):
        raise AttributeError("there is no Paramiko below this connection: its transport has no %r here; put and get move files, "
                             "forward_local and forward_remote carry connections" % name)
