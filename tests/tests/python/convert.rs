//! Fabfiles in Python 2.

use std::path::Path;
use std::process::Command;

use crate::classic::python;
use crate::pythons;
use tests::case;

const OLD: &str = "from fabric.api import *\n\n\ndef deploy(mode='0755'):\n\tprint 'mode', mode\n        if 0755 <> 1:\n\t\tprint \"%s\" % 1\n    try:\n        pass\n    except Exception, e:\n        print e\n";

/// Without the mixed indentation.
fn old() -> String {
    OLD.replace("\tprint 'mode'", "    print 'mode'")
        .replace("        if 0755", "    if 0755")
        .replace("\t\tprint", "        print")
}

/// An interpreter that has something to convert with, if there is one.
fn converter() -> Option<&'static Path> {
    let has = |python: &&Path| {
        let script = "import warnings; warnings.simplefilter('ignore'); import lib2to3.refactor";
        Command::new(python).args(["-c", script]).output().is_ok_and(|ran| ran.status.success())
    };
    pythons::all().iter().map(std::path::PathBuf::as_path).find(has)
}

#[test]
fn a_file_is_converted_and_the_old_one_kept() {
    let Some(python) = converter() else { panic!("no python3 here has lib2to3: install one up to 3.12") };
    let ran = python!(python, old())
        .args(["--to-python3", "fabfile.py"])
        .stdout_has("-    print 'mode', mode\n")
        .stdout_has("+    print('mode', mode)\n")
        .stdout_has("+    except Exception as e:\n")
        .stdout_has("the old file is")
        .run();
    assert_eq!(ran.read("fabfile.py2"), old());
    assert!(ran.read("fabfile.py").contains("if 0o755 != 1:"));
}

#[test]
fn it_is_converted_in_memory_where_that_is_asked_for() {
    let Some(python) = converter() else { panic!("no python3 here has lib2to3: install one up to 3.12") };
    let ran = python!(python, old())
        .file("fabric.toml", "python2 = \"convert\"\n")
        .args(["--set", "x=1", "deploy:0644"])
        .stdout_has("mode 0644\n")
        .any_stderr()
        .run();
    assert_eq!(ran.read("fabfile.py"), old());
}

#[test]
fn without_anything_to_convert_with_that_is_said() {
    let new = pythons::all().iter().find(|python| {
        let ran = Command::new(python).args(["-c", "import sys; sys.exit(sys.version_info < (3, 13))"]).status();
        ran.is_ok_and(|status| status.success())
    });
    let Some(python) = new else { return };
    python!(python, old()).args(["--to-python3", "fabfile.py"]).stderr_has("pip install fissix").status(1).run();
}
