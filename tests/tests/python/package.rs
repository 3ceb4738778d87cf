//! The package itself.

use std::path::Path;
use std::process::Command;

use crate::pythons;

/// Old systems have nothing newer than Python 3.6 (RHEL 8).
#[test]
fn it_is_python_3_6() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python");
    let script = "
import ast, os, sys
count = 0
for root, _, names in os.walk(sys.argv[1]):
    for name in names:
        if name.endswith('.py'):
            path = os.path.join(root, name)
            with open(path, 'rb') as file:
                source = file.read()
            if sys.version_info >= (3, 8):
                ast.parse(source, path, feature_version=(3, 6))
            else:
                ast.parse(source, path)
            count += 1
assert count > 15, count
";
    for python in pythons::all() {
        let ran = Command::new(python).args(["-c", script]).arg(&package).output().expect("it runs");
        assert!(ran.status.success(), "{}: {}", python.display(), String::from_utf8_lossy(&ran.stderr));
    }
}

/// Whoever has tests of their own imports it with warnings as errors.
#[test]
fn it_is_imported_without_a_warning_a_thread_or_a_trace() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python/package");
    let script = "
import os, signal, sys, threading
before = dict(os.environ), os.getcwd(), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import fabric.api, fabric.contrib.files, fabric.contrib.project, fabric.contrib.console, fabric.contrib.django
after = dict(os.environ), os.getcwd(), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
assert before == after
assert threading.active_count() == 1
for name in ('paramiko', 'invoke', 'subprocess', 'asyncio'):
    assert name not in sys.modules or name == 'subprocess', name
";
    for python in pythons::all() {
        let ran = Command::new(python).args(["-W", "error", "-c", script]).arg(&package).output().expect("it runs");
        assert!(ran.status.success(), "{}: {}", python.display(), String::from_utf8_lossy(&ran.stderr));
    }
}
