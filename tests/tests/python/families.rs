//! The families of fabfiles that there are most of, in versions of our own.

use crate::classic::python;
use crate::pythons;
use tests::case;

/// A course's files: their names begin with digits, and they import one another by name.
#[test]
fn files_of_a_course_whose_names_begin_with_digits() {
    let pack = "
from datetime import datetime
from fabric.api import local


def do_pack():
    '''Packs the web folder.'''
    local('mkdir -p versions')
    path = 'versions/web_static_1.tgz'
    result = local('tar -czf {} web_static'.format(path))
    return path if result.succeeded else None
";
    let deploy = "
from os.path import exists
from fabric.api import env, put, run

do_pack = __import__('1-pack').do_pack
env.hosts = ['{h1}']


def do_deploy(archive_path):
    '''Distributes an archive.'''
    if not exists(archive_path):
        return False
    name = archive_path.split('/')[-1]
    put(archive_path, '{far}/')
    run('mkdir -p {far}/release')
    if run('tar -xzf {far}/%s -C {far}/release' % name).failed:
        return False
    run('rm {far}/%s' % name)
    return True


def deploy():
    path = do_pack()
    return do_deploy(path) if path else False
";
    for python in pythons::all() {
        let case = || {
            let case = case!().hosts(1).env("FABRIC_PYTHON", python.display().to_string());
            case.file("1-pack.py", pack).file("2-deploy.py", deploy).file("web_static/index.html", "<p>hello</p>\n")
        };
        case().args(["-f", "2-deploy.py", "--shortlist"]).stdout("deploy\ndo_deploy\ndo_pack\nexists\n").run();
        let ran = case().args(["-f", "2-deploy.py", "deploy", "-u", &pythons::user()]).any_stdout().any_stderr().run();
        assert_eq!(ran.read_far("release/web_static/index.html"), "<p>hello</p>\n");
        case().args(["-f", "2-deploy.py", "do_deploy:archive_path=nothing.tgz"]).any_stdout().any_stderr().run();
    }
}

/// A book's file: `contrib.files`, and the parts of the host string.
#[test]
fn the_file_of_a_book() {
    let fabfile = "
import random
from fabric.contrib.files import append, contains, exists, sed, comment, uncomment
from fabric.api import cd, env, local, run


def deploy():
    site = '{far}/sites/%s' % env.host
    run('mkdir -p %s' % site)
    with cd(site):
        assert not exists(site + '/.env')
        run('touch .env')
        append('.env', 'DEBUG=n')
        append('.env', 'DEBUG=n')
        append('.env', ['SITENAME=%s' % env.user, \"it's $HOME \\\"quoted\\\"\"])
        assert exists('.env') and contains('.env', 'SITENAME')
        assert not contains('.env', 'DEBUG', exact=True)
        sed('.env', 'DEBUG=n', 'DEBUG=y')
        comment('.env', '^SITENAME')
        assert contains('.env', '#SITENAME=')
        uncomment('.env', 'SITENAME')
    print(run('cat %s/.env' % site))
";
    let ran = python!(pythons::one(), fabfile).args(["deploy", "-H", "{h1}"]).any_stdout().any_stderr().run();
    let file = format!("sites/{}/.env", ran.case().fill("{address1}"));
    let user = pythons::user();
    assert_eq!(ran.read_far(&file), format!("DEBUG=y\nSITENAME={user}\nit's $HOME \"quoted\"\n"));
}
