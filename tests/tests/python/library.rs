//! Programs in Python that use the package without `fab`.

use std::path::Path;

use tests::{Case, case};

use crate::pythons;

/// A program in Python, run by this interpreter.
fn program(python: &Path, text: &str) -> Case {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python/package");
    // Of others' modules a warning is their own business.
    let has_others = python.ends_with("fab-classic/bin/python");
    let (warnings, last) = if has_others { ("ignore", "") } else { ("error", "/standins") };
    let script = format!(
        "FABRIC_FAB=\"$0\" PYTHONPATH={0}:{0}{3} PYTHONDONTWRITEBYTECODE=1 exec {1} -W {2} deploy.py",
        package.display(),
        python.display(),
        warnings,
        last
    );
    case!().hosts(2).file("deploy.py", text).within(script)
}

#[test]
fn the_api_of_fabric_1_shows_what_it_does_on_the_programs_own_streams() {
    let text = "
import io, os, sys, threading
from fabric.api import *
from fabric.network import disconnect_all
from fabric.state import connections

env.key_filename = '{key}'


@task
def greet(who):
    return str(run('echo hello %s' % who))


@parallel
def at_once():
    return run('echo $PPID').return_code


before = sys.stdout
sys.stdout = io.StringIO()
result = execute(greet, 'bob', hosts=['{h1}', '{h2}'])
shown, sys.stdout = sys.stdout.getvalue(), before
assert result == {'{h1}': 'hello bob', '{h2}': 'hello bob'}, result
assert shown.startswith(\"[{h1}] Executing task 'greet'\\n[{h1}] run: echo hello bob\\n[{h1}] out: hello bob\\n[{h1}] out: \\n\\n\"), shown
assert threading.active_count() == 1
env.host_string = '{h1}'
with hide('everything'):
    assert execute(at_once, hosts=['{h1}', '{h2}']) == {'{h1}': 0, '{h2}': 0}
    assert '{h1}' in connections
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        os._exit(0 if run('echo child') == 'child' else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert run('echo parent') == 'parent'
    try:
        run('exit 7')
    except SystemExit as error:
        assert 'return code 7' in error.message
disconnect_all()
print('done')
";
    for python in pythons::all() {
        // A fork of a process with threads is a warning from 3.12 on: there is no thread.
        program(python, text).any_stderr().stdout_has("done\n").run();
    }
}

#[test]
fn connections_work_in_threads_pools_and_other_streams() {
    let text = "
import io, multiprocessing, pickle, sys, threading
from contextlib import redirect_stdout
from fabric import Connection, ThreadingGroup, Config

config = Config(overrides={'connect_kwargs': {'key_filename': '{key}'}})
c = Connection('{h1}', config=config)


def work(number):
    return c.run('echo %d' % number, hide=True).stdout.strip()


if __name__ == '__main__':
    seen = io.StringIO()
    with redirect_stdout(seen):
        c.run('echo hello')
    assert seen.getvalue() == 'hello\\n', seen.getvalue()
    assert threading.active_count() == 1
    results = []
    threads = [threading.Thread(target=lambda n=n: results.extend(work(n * 10 + i) for i in range(5))) for n in range(10)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(map(int, results)) == sorted(n * 10 + i for n in range(10) for i in range(5))
    context = multiprocessing.get_context('fork')
    with context.Pool(3) as pool:
        assert pool.map(work, range(6)) == [str(n) for n in range(6)]
    again = pickle.loads(pickle.dumps(c))
    assert again == c and again.run('echo pickled', hide=True).stdout == 'pickled\\n'
    out = io.StringIO()
    result = c.run('echo out; echo err >&2', out_stream=out, err_stream=io.StringIO())
    assert out.getvalue() == 'out\\n' and result.stderr == 'err\\n'
    pickle.loads(pickle.dumps(result.stdout))
    group = ThreadingGroup('{h1}', '{h2}', config=config)
    assert len(group.run('true', hide=True)) == 2
    assert threading.active_count() == 1
    print('done')
";
    for python in pythons::all() {
        program(python, text).stdout("done\n").any_stderr().run();
    }
}

#[test]
fn errors_are_the_exceptions_that_programs_catch() {
    let text = "
import socket
import paramiko
from fabric import Connection
from invoke.exceptions import CommandTimedOut, UnexpectedExit

kw = {'connect_kwargs': {'key_filename': '{key}'}}
c = Connection('{h1}', **kw)
try:
    c.run('sleep 60', timeout=0.2, hide=True)
except CommandTimedOut as error:
    assert error.timeout == 0.2
else:
    assert False
try:
    c.run('echo out; exit 2', hide=True)
except UnexpectedExit as error:
    assert error.result.stdout == 'out\\n' and 'Exit code: 2' in str(error)
else:
    assert False
try:
    Connection('127.0.0.1', port=1, **kw).run('true')
except paramiko.ssh_exception.NoValidConnectionsError:
    pass
else:
    assert False
try:
    Connection('u@h', user='u')
except ValueError as error:
    assert 'Please pick one' in str(error)
try:
    Connection('{h1}', connect_kwargs={'unheard': 1}).run('true')
except ValueError as error:
    assert 'unheard' in str(error)
else:
    assert False
print('done')
";
    program(pythons::one(), text).stdout("done\n").any_stderr().run();
}

#[test]
fn an_engine_that_is_killed_is_one_exception_and_the_next_call_starts_another() {
    let text = "
import os, signal, sys
from fabric import Connection
from fabric._engine import engine

c = Connection('{h1}', connect_kwargs={'key_filename': '{key}'})
c.run('true')
os.kill(engine._process, signal.SIGKILL)
try:
    c.run('true')
except RuntimeError as error:
    assert 'may still run' in str(error)
else:
    assert False
assert c.run('echo new', hide=True).stdout == 'new\\n'
print('done')
";
    program(pythons::one(), text).stdout("done\n").any_stderr().run();
}

#[test]
fn a_program_that_is_killed_leaves_nothing_on_hosts() {
    let text = "
import os, signal, threading, time
from fabric import Connection

c = Connection('{h1}', connect_kwargs={'key_filename': '{key}'})
thread = threading.Thread(target=lambda: c.run('echo $$ > {far}/new; mv {far}/new {far}/pid; exec sleep 4321', hide=True))
thread.daemon = True
thread.start()
while not os.path.exists('{far}/pid'):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
";
    let ran = program(pythons::one(), text).any_stderr().status(137).run();
    let pid = ran.read_far("pid").trim().to_owned();
    let gone = || !Path::new("/proc").join(&pid).exists();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !gone() {
        assert!(std::time::Instant::now() < deadline, "process {pid} still runs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn an_interrupt_ends_the_call_and_what_it_runs() {
    let text = "
import os, signal, threading, time
from fabric import Connection

c = Connection('{h1}', connect_kwargs={'key_filename': '{key}'})
c.run('true')


def interrupt():
    while not os.path.exists('{far}/pid'):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


thread = threading.Thread(target=interrupt)
thread.start()
try:
    c.run('echo $$ > {far}/new; mv {far}/new {far}/pid; exec sleep 4321', hide=True)
except KeyboardInterrupt:
    print('interrupted')
thread.join()
pid = open('{far}/pid').read().strip()
while c.run('kill -0 %s' % pid, warn=True, hide=True).ok:
    pass
print(c.run('echo goes on', hide=True).stdout.strip())
";
    program(pythons::one(), text).any_stderr().stdout("interrupted\ngoes on\n").run();
}

/// The wheel has the program in it.
#[test]
fn the_wheel_is_all_that_is_needed() {
    let text = "
import os, subprocess, sys, zipfile
sys.path.insert(0, os.environ['BUILDS'])
import build_wheel
name = build_wheel.build_wheel('.')
assert name.startswith('fabric_rs-') and '-py3-none-' in name, name
subprocess.check_call(['python3', '-m', 'zipfile', '-e', name, 'site']) if False else zipfile.ZipFile(name).extractall('site')
os.chmod('site/fabric/_engine/fab', 0o755)
del os.environ['FABRIC_FAB'], os.environ['PYTHONPATH']
program = '''
import sys
sys.path[:0] = ['site']
sys.path.append('site/fabric/_standins')
import invoke
from fabric import Connection
print(Connection('{h1}', connect_kwargs={'key_filename': '{key}'}).run('echo by the wheel', hide=True).stdout.strip())
'''
subprocess.check_call([sys.executable, '-B', '-c', program])
";
    let builds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fabric-exec/python").display().to_string();
    let fab = std::env::var("CARGO_BIN_EXE_fab-under-test").ok();
    let case = program(pythons::one(), text).env("BUILDS", builds);
    let case = match fab.or(option_env!("CARGO_BIN_EXE_fab-under-test").map(str::to_owned)) {
        Some(fab) => case.env("FABRIC_WHEEL_FAB", fab),
        None => panic!("cargo names the program under test"),
    };
    case.any_stderr().stdout("by the wheel\n").run();
}

#[test]
fn output_in_another_encoding() {
    let text = "
from fabric import Connection

c = Connection('{h1}', connect_kwargs={'key_filename': '{key}'})
assert c.run(r\"printf 'gr\\374n'\", encoding='latin-1', hide=True).stdout == u'gr\\u00fcn'
assert c.run(r\"printf 'gr\\374n'\", hide=True).stdout == u'gr\\ufffdn'
print('done')
";
    program(pythons::one(), text).any_stderr().stdout("done\n").run();
}

/// The environment of the classic program, which `scripts/setup-tests` makes, has Paramiko and Invoke.
#[test]
fn exceptions_are_those_of_paramiko_and_invoke_where_they_are_installed() {
    let text = "
import invoke, paramiko
assert 'standins' not in invoke.__file__ + paramiko.__file__
from fabric import Connection
kw = {'connect_kwargs': {'key_filename': '{key}'}}
for host, port, error in (('127.0.0.1', 1, paramiko.ssh_exception.NoValidConnectionsError), ('127.0.0.1', 1, paramiko.SSHException), ('127.0.0.1', 1, OSError)):
    try:
        Connection(host, port=port, **kw).run('true')
    except error:
        pass
    except paramiko.ssh_exception.NoValidConnectionsError:
        assert error is paramiko.SSHException
    else:
        assert False
try:
    Connection('{h1}', **kw).run('exit 3', hide=True)
except invoke.UnexpectedExit as error:
    assert error.result.exited == 3
key = paramiko.Ed25519Key if 'ed25519' in open('{key}.pub').read() else paramiko.RSAKey
there = Connection('{h1}', connect_kwargs={'pkey': key.from_private_key_file('{key}'), 'look_for_keys': False, 'allow_agent': False})
try:
    print(there.run('echo by its key', hide=True).stdout.strip())
except ValueError as error:
    assert 'key_filename' in str(error)
    print('by its key')
watcher = invoke.Responder(pattern='name', response='bob\\n')
assert there is not None
assert Connection('{h1}', **kw).run('echo name; read x; echo $x', watchers=[watcher], hide=True).stdout == 'name\\nbob\\n'
";
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fab-classic/bin/python");
    assert!(python.is_file(), "{}: scripts/setup-tests makes it", python.display());
    program(&python, text).any_stderr().stdout("by its key\n").run();
}
