//! A program with the command line of `fab` as part of another one: with its own surroundings and name, interrupted from outside,
//! and without changes to the process. And the route of a run through the modules, compared with docs/architecture.md; `UPDATE=1`
//! updates that.

use std::fmt::Debug;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fabric_cli::prelude::*;
use tests::Sshd;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context as Around, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is written to a stream.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A home with a fabfile, and the output of a program there.
struct Place {
    dir: tempfile::TempDir,
    stdout: Written,
    stderr: Written,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".ssh")).unwrap();
        fs::write(dir.path().join(".ssh/known_hosts"), Sshd::shared().known_hosts()).unwrap();
        fs::write(dir.path().join("fabfile.toml"), "[tasks]\nhello = 'echo hello'\n").unwrap();
        Self { dir, stdout: Written::default(), stderr: Written::default() }
    }

    fn surroundings(&self) -> Surroundings {
        let environment = Environment::new("me", self.dir.path());
        Surroundings::new(environment, self.dir.path())
            .stdin("")
            .stdout(self.stdout.clone())
            .stderr(self.stderr.clone())
    }

    /// The options that reach a real server.
    fn login() -> [String; 6] {
        let sshd = Sshd::shared();
        let (host, key) = (sshd.hosts()[0].host_string(), sshd.key());
        let key = key.to_str().unwrap().to_owned();
        ["-H".to_owned(), host, "-i".to_owned(), key, "-u".to_owned(), tests::current_user()]
    }

    fn run(&self, program: Program, args: &[&str]) -> (Exit, String, String) {
        let args = args.iter().map(|arg| (*arg).to_owned());
        self.run_as(program.surroundings(self.surroundings()), args)
    }

    fn run_as(&self, program: Program, args: impl IntoIterator<Item = String>) -> (Exit, String, String) {
        for written in [&self.stdout, &self.stderr] {
            written.0.lock().unwrap().clear();
        }
        let exit = program.run(args);
        (exit, self.stdout.text(), self.stderr.text())
    }
}

#[test]
fn a_program_has_a_name_and_a_version_of_its_own() {
    let place = Place::new();
    let program = || Program::new().name("roll").version("2.1").tasks(Collection::new());
    assert_eq!(place.run(program(), &["-V"]), (Exit::Ok, "roll 2.1\n".to_owned(), String::new()));
    let (exit, help, _) = place.run(program(), &["--help"]);
    assert!(exit == Exit::Ok && help.contains("Usage: roll [OPTIONS]"), "{help}");
    for shell in ["bash", "zsh", "fish"] {
        let (_, script, _) = place.run(program(), &["--completion", shell]);
        assert!(script.contains(" roll") && !script.contains("@PROGRAM@"), "{script}");
    }
    let (exit, _, error) = place.run(program(), &["deploi"]);
    assert!(exit == Exit::Usage && error.starts_with("roll: there is no task `deploi`"), "{error}");
}

#[test]
fn a_program_runs_in_surroundings_of_its_own_and_changes_nothing_of_the_process() {
    let place = Place::new();
    let limit = || rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let hooked = Arc::new(AtomicBool::new(false));
    std::panic::set_hook({
        let hooked = hooked.clone();
        Box::new(move |_| hooked.store(true, Ordering::Relaxed))
    });
    let before = limit();
    let home = place.dir.path();
    let [_, host, _, key, user @ ..] = Place::login();
    fs::write(home.join("hosts"), host).unwrap();
    fs::copy(key, home.join("key")).unwrap();
    let args = ["-H", "@hosts", "-i", "key", "--report", "report.json", "hello", "--", "cat"].map(str::to_owned);
    let program = Program::new().surroundings(place.surroundings().stdin("given\n"));
    let (exit, stdout, stderr) = place.run_as(program, user.into_iter().chain(args));
    assert_eq!(exit, Exit::Ok, "{stderr}");
    assert!(stdout.contains("out: hello\n") && stdout.contains("out: given\n"), "{stdout}");
    // Names that were typed, settings and journals are those of its directory and its home.
    assert!(home.join("report.json").is_file() && home.join(".local/state/fabric/runs").is_dir());
    assert!(!Path::new("report.json").exists());
    assert_eq!(limit(), before);
    assert!(std::panic::catch_unwind(|| panic!("shown by a hook")).is_err());
    assert!(hooked.load(Ordering::Relaxed), "the hook is the one that was there before");

    let (exit, _, error) = place.run(Program::new(), &["--log", "debug", "--list"]);
    assert!(exit == Exit::Usage && error.contains("--log: only the main program"), "{error}");
    let (exit, _, error) = place.run(Program::new(), &["--abort-on-prompts", "--init"]);
    assert!(exit == Exit::Usage && error.contains("already exists"), "{error}");
}

/// A stream that interrupts the program once it prints this.
struct Interrupts {
    written: Written,
    at: &'static str,
    interrupt: Interrupt,
}

impl Write for Interrupts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write_all(bytes)?;
        if self.written.text().contains(self.at) {
            self.interrupt.stop();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `fab` with these arguments until it prints `at`, and interrupts it.
fn interrupted_at(place: &Place, at: &'static str, args: impl IntoIterator<Item = String>) -> (Exit, String, String) {
    let interrupt = Interrupt::new();
    let interrupts = |written: &Written| Interrupts { written: written.clone(), at, interrupt: interrupt.clone() };
    let surroundings = place.surroundings().stdout(interrupts(&place.stdout)).stderr(interrupts(&place.stderr));
    place.run_as(Program::new().surroundings(surroundings).interrupt(interrupt.clone()), args)
}

/// Runs `fab` with these arguments until this pipe in its directory is opened for writing, and interrupts it.
fn interrupted_once_written(
    place: &Place,
    pipe: &str,
    around: &Surroundings,
    args: impl IntoIterator<Item = String>,
) -> (Exit, String, String) {
    let (interrupt, pipe) = (Interrupt::new(), place.dir.path().join(pipe));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let waiting = std::thread::spawn({
        let (interrupt, pipe) = (interrupt.clone(), pipe.clone());
        move || {
            let unread = fs::File::open(pipe).unwrap();
            interrupt.stop();
            unread
        }
    });
    let ended = place.run_as(Program::new().surroundings(around.clone()).interrupt(interrupt), args);
    waiting.join().unwrap();
    fs::remove_file(pipe).unwrap();
    ended
}

#[test]
fn an_interrupt_ends_a_run_wherever_it_is() {
    let place = Place::new();
    let more = "here = { steps = [{ local = 'echo begun; exec sleep 1000' }] }\n\
                again = { with = { retries = 9 }, run = 'echo begun; exit 3' }\n";
    fs::write(place.dir.path().join("fabfile.toml"), format!("[tasks]\nhello = 'echo hello'\n{more}")).unwrap();
    for words in [&["--", "echo begun; exec sleep 1000"][..], &["here"], &["again"], &["--retry-failed"]] {
        let login = if words == ["--retry-failed"] { Vec::new() } else { Place::login().to_vec() };
        let words = words.iter().map(|word| (*word).to_owned());
        let args = login.into_iter().chain(words.clone());
        let (exit, stdout, stderr) = interrupted_at(&place, "out: begun", args);
        assert!(exit == Exit::Interrupted && stdout.contains("out: begun"), "{words:?} {stdout}{stderr}");
        assert!(stderr.contains("1 host: 0 ok, 1 failed"), "{words:?} {stderr}");
    }

    // Before anything has begun.
    let stopped = Interrupt::new();
    stopped.stop();
    let program = Program::new().surroundings(place.surroundings()).interrupt(stopped);
    let (exit, stdout, _) = place.run_as(program, Place::login().into_iter().chain(["hello".to_owned()]));
    assert!(exit == Exit::Interrupted && !stdout.contains("out: hello"), "{stdout}");

    // While a report is written that no process reads, and that is more than a pipe holds.
    let command = "head -c 100000 /dev/zero | tr '\\0' x";
    let args = ["--report", "report.json", "--", command].map(str::to_owned);
    let args = Place::login().into_iter().chain(args);
    let (exit, _, stderr) = interrupted_once_written(&place, "report.json", &place.surroundings(), args);
    assert!(exit == Exit::Interrupted && stderr.ends_with("fab: interrupted\n"), "{exit:?} {stderr}");
}

#[test]
fn an_interrupt_ends_what_is_no_run() {
    let place = Place::new();
    let home = place.dir.path();
    let roles = "[roledefs]\nslow = { command = 'echo > begun; exec sleep 1000' }\n\n[tasks]\nhello = 'true'\n";
    fs::write(home.join("fabfile.toml"), roles).unwrap();
    let (exit, _, stderr) = interrupted_once_written(
        &place,
        "begun",
        &place.surroundings(),
        ["--plan", "-R", "slow", "hello"].map(str::to_owned),
    );
    assert_eq!((exit, stderr.as_str()), (Exit::Interrupted, "fab: interrupted\n"));

    let (exit, stdout, stderr) = interrupted_at(&place, "Executing task 'deploy'", ["--demo".to_owned()]);
    assert!(exit == Exit::Interrupted && !stdout.contains("That was real"), "{stdout}{stderr}");

    // A fabfile in Rust: while it is built, and while it runs in place of this program.
    fs::remove_file(home.join("fabfile.toml")).unwrap();
    fs::create_dir(home.join("fabfile")).unwrap();
    fs::write(home.join("fabfile/Cargo.toml"), "").unwrap();
    let script = |name: &str, text: String| {
        let file = home.join(name);
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let begun = format!("trap 'exit 7' INT; echo > {}; while :; do :; done", home.join("begun").display());
    let program = script("program", begun.clone());
    let built = format!(r#"echo '{{"target": {{"kind": ["bin"]}}, "executable": "{program}"}}'"#);
    for (cargo, exit, said) in [
        (script("building", begun), Exit::Interrupted, "fab: interrupted\n"),
        (script("built", built), Exit::Command(7), ""),
    ] {
        let environment = Environment::new("me", home).variable("CARGO", cargo);
        let surroundings = Surroundings::new(environment, home).stderr(place.stderr.clone());
        let (ended, _, stderr) = interrupted_once_written(&place, "begun", &surroundings, ["hello".to_owned()]);
        assert_eq!((ended, stderr.as_str()), (exit, said));
    }
}

/// The modules on the route of a run, in order of their first message.
#[derive(Clone, Default)]
struct Route(Arc<Mutex<Vec<(String, String)>>>);

impl<S: tracing::Subscriber> Layer<S> for Route {
    fn on_event(&self, event: &tracing::Event<'_>, _: Around<'_, S>) {
        struct Said(Option<String>);
        impl Visit for Said {
            fn record_str(&mut self, field: &Field, value: &str) {
                if field.name() == "route" {
                    self.0 = Some(value.to_owned());
                }
            }

            fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
        }
        let mut said = Said(None);
        event.record(&mut said);
        let (Some(said), Some(module)) = (said.0, event.metadata().module_path()) else { return };
        let mut route = self.0.lock().unwrap();
        if !route.iter().any(|(seen, _)| seen == module) {
            route.push((module.to_owned(), said));
        }
    }
}

#[test]
fn the_picture_in_the_architecture_is_the_route_of_a_run() {
    let (place, route) = (Place::new(), Route::default());
    // Of this thread alone, as other tests run programs too.
    let _route = tracing_subscriber::registry().with(route.clone()).set_default();
    let program = Program::new().surroundings(place.surroundings());
    let (exit, stdout, stderr) = place.run_as(program, Place::login().into_iter().chain(["hello".to_owned()]));
    assert!(exit == Exit::Ok && stdout.contains("out: hello\n"), "{stdout}{stderr}");
    let route = route.0.lock().unwrap();
    let picture: Vec<String> = route.iter().map(|(module, said)| format!("{module:<38} {said}\n")).collect();
    let picture = picture.concat();
    println!("{picture}");

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let text = fs::read_to_string(&file).unwrap();
    let (start, end) = ("<!-- the route of a run -->\n```text\n", "```\n");
    let from = text.find(start).expect("the picture's beginning") + start.len();
    let to = from + text[from..].find(end).expect("the picture's end");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, format!("{}{picture}{}", &text[..from], &text[to..])).unwrap();
    } else {
        assert_eq!(text[from..to], picture, "UPDATE=1 draws it anew");
    }
}
