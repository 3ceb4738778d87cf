//! The names that programs import, from each of the modules that they import them from.

use std::path::Path;
use std::process::Command;

use crate::pythons;

const NAMES: &[(&str, &str)] = &[
    (
        "fabric.api",
        "cd hide settings show path prefix lcd quiet warn_only remote_tunnel shell_env hosts roles runs_once with_settings task serial \
         parallel require prompt put get run sudo local reboot open_shell env output abort warn puts fastprint execute",
    ),
    (
        "fabric.context_managers",
        "cd hide settings show path prefix lcd quiet warn_only remote_tunnel shell_env char_buffered env output state",
    ),
    (
        "fabric.operations",
        "require prompt put get run sudo local reboot open_shell env output settings hide abort warn puts _prefix_commands \
                           _prefix_env_vars _AttributeString _shell_escape _shell_wrap _sudo_prefix connections",
    ),
    ("fabric.state", "env output connections win32 _AttributeDict _AliasDict default_channel commands"),
    ("fabric.decorators", "task hosts roles runs_once serial parallel with_settings settings"),
    ("fabric.utils", "abort warn puts fastprint indent error apply_lcwd handle_prompt_abort env output"),
    ("fabric.tasks", "Task WrappedCallableTask execute merge requires_parallel env"),
    (
        "fabric.network",
        "disconnect_all normalize denormalize join_host_strings parse_host_string ssh needs_host key_filenames \
                        normalize_to_string to_dict from_dict connections env",
    ),
    ("fabric.colors", "red green yellow blue magenta cyan white"),
    (
        "fabric.contrib.files",
        "exists is_link first upload_template sed comment uncomment contains append run put sudo env settings hide \
                              roles hosts local task",
    ),
    ("fabric.contrib.project", "rsync_project upload_project"),
    ("fabric.contrib.console", "confirm prompt"),
    ("fabric.contrib.django", "project settings_module"),
    ("fabric.version", "VERSION get_version __version__"),
    ("fabric.exceptions", "NetworkError CommandTimeout GroupException NothingToDo InvalidV1Env"),
    ("fabric", "Connection Config Result Group SerialGroup ThreadingGroup GroupResult task Executor api colors"),
    ("fabric.connection", "Connection derive_shorthand opens Config"),
    ("fabric.config", "Config"),
    ("fabric.group", "Group SerialGroup ThreadingGroup GroupResult GroupException Connection"),
    ("fabric.runners", "Result Remote RemoteShell"),
    ("fabric.transfer", "Transfer Result"),
    ("fabric.main", "program Fab make_program"),
    ("fabric.auth", "OpenSSHAuthStrategy"),
    ("fabric.executor", "Executor"),
    ("fabric2", "Connection Config task ThreadingGroup SerialGroup"),
    ("fabric2.exceptions", "GroupException"),
    ("fabric2.transfer", "Transfer"),
    (
        "invoke",
        "Responder Context task Exit UnexpectedExit StreamWatcher run Result Failure Collection Task FailingResponder Config call",
    ),
    ("invoke.exceptions", "UnexpectedExit Failure CommandTimedOut Exit AuthFailure"),
    ("invoke.watchers", "Responder FailingResponder StreamWatcher"),
    (
        "paramiko",
        "SSHException AuthenticationException RSAKey Ed25519Key ECDSAKey AutoAddPolicy SSHClient PasswordRequiredException",
    ),
    ("paramiko.ssh_exception", "NoValidConnectionsError SSHException AuthenticationException BadHostKeyException"),
];

#[test]
fn every_name_is_where_it_was() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python/package");
    let script = "
import importlib, sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[1] + '/standins')
missing = []
for line in sys.argv[2:]:
    module, names = line.split(':')
    found = importlib.import_module(module)
    for name in names.split():
        try:
            getattr(found, name)
        except AttributeError:
            missing.append(module + '.' + name)
namespace = {}
exec('from fabric.api import *', namespace)
missing.extend('* ' + name for name in ('run', 'env', 'task', 'execute') if name not in namespace)
assert not missing, missing
";
    let lines: Vec<String> = NAMES.iter().map(|(module, names)| format!("{module}:{names}")).collect();
    for python in pythons::all() {
        let ran = Command::new(python).args(["-c", script]).arg(&package).args(&lines).output().expect("it runs");
        assert!(ran.status.success(), "{}: {}", python.display(), String::from_utf8_lossy(&ran.stderr));
    }
}

/// The signatures of Fabric 1 and 3, as their documentation has them.
#[test]
fn signatures_are_those_of_the_originals() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python/package");
    let script = "
import inspect, sys
sys.dont_write_bytecode = True
sys.path[:0] = [sys.argv[1]]
from fabric import Connection, operations, contrib
import fabric.contrib.files as files, fabric.contrib.project as project
expected = {
    operations.run: '(command, shell=True, pty=True, combine_stderr=None, quiet=False, warn_only=False, stdin=None, stdout=None, '
        'stderr=None, timeout=None, shell_escape=None, capture_buffer_size=None)',
    operations.sudo: '(command, shell=True, pty=True, combine_stderr=None, user=None, quiet=False, warn_only=False, stdin=None, '
        'stdout=None, stderr=None, group=None, timeout=None, shell_escape=None, capture_buffer_size=None)',
    operations.put: '(local_path=None, remote_path=None, use_sudo=False, mirror_local_mode=False, mode=None, use_glob=True, temp_dir=None)',
    operations.get: '(remote_path, local_path=None, use_sudo=False, temp_dir=None)',
    operations.prompt: \"(text, key=None, default='', validate=None)\",
    operations.reboot: \"(wait=120, command='reboot', use_sudo=True)\",
    operations.open_shell: '(command=None)',
    files.exists: '(path, use_sudo=False, verbose=False)',
    files.append: '(filename, text, use_sudo=False, partial=False, escape=True, shell=False)',
    files.sed: \"(filename, before, after, limit='', use_sudo=False, backup='.bak', flags='', shell=False)\",
    files.contains: '(filename, text, exact=False, use_sudo=False, escape=True, shell=False, case_sensitive=True)',
    project.upload_project: \"(local_dir=None, remote_dir='', use_sudo=False)\",
    Connection.__init__: '(self, host, user=None, port=None, config=None, gateway=None, forward_agent=None, connect_timeout=None, '
        'connect_kwargs=None, inline_ssh_env=None)',
    Connection.forward_local: \"(self, local_port, remote_port=None, remote_host='localhost', local_host='localhost')\",
    Connection.forward_remote: \"(self, remote_port, local_port=None, remote_host='127.0.0.1', local_host='localhost')\",
}
for function, signature in expected.items():
    assert str(inspect.signature(function)) == signature, (function, inspect.signature(function))
";
    for python in pythons::all() {
        let ran = Command::new(python).args(["-c", script]).arg(&package).output().expect("it runs");
        assert!(ran.status.success(), "{}: {}", python.display(), String::from_utf8_lossy(&ran.stderr));
    }
}
