//! The surroundings of a program: environment, working directory and standard streams.

use std::fmt;
use std::fs;
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fabric_config::Environment;
use fabric_core::Value;
use parking_lot::Mutex;
use rustix::fd::BorrowedFd;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::process;

/// The surroundings of a program: its environment, working directory and standard streams.
///
/// ```
/// use fabric_cli::{Environment, Exit, Program, Surroundings};
///
/// let surroundings = Surroundings::new(Environment::new("alice", "/home/alice"), "/").stdout(std::io::sink());
/// assert_eq!(Program::new().surroundings(surroundings).run(["--version"]), Exit::Ok);
/// ```
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub(crate) environment: Environment,
    pub(crate) dir: PathBuf,
    /// The base of relative paths in arguments: empty for the process's own directory.
    base: PathBuf,
    stdin: Input,
    stdout: Output,
    stderr: Output,
}

impl Surroundings {
    /// Those of this process, as they are now. If its working directory is gone, what needs it fails later.
    pub fn capture() -> Self {
        let dir = process::directory().unwrap_or_default();
        Self { base: PathBuf::new(), ..Self::new(Environment::capture(), dir) }
    }

    /// This environment and working directory, and the standard streams of this process. The directory is where the search for a
    /// fabfile begins, and the base of relative paths in arguments.
    pub fn new(environment: Environment, dir: impl Into<PathBuf>) -> Self {
        let dir = dir.into();
        Self {
            environment,
            base: dir.clone(),
            dir,
            stdin: Input::Process(Arc::default()),
            stdout: Output::Process(rustix::stdio::stdout()),
            stderr: Output::Process(rustix::stdio::stderr()),
        }
    }

    /// The same streams around another environment and directory.
    pub(crate) fn within(self, environment: Environment, dir: impl Into<PathBuf>) -> Self {
        let Self { stdin, stdout, stderr, .. } = self;
        Self { stdin, stdout, stderr, ..Self::new(environment, dir) }
    }

    /// In another working directory; the base of relative paths in arguments stays.
    pub(crate) fn at(self, dir: PathBuf) -> Self {
        Self { dir, ..self }
    }

    /// Uses this text as standard input. No questions are asked then: one that would need an answer is an error.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = Input::Bytes(Arc::new(text.into()));
        self
    }

    /// Writes standard output to this.
    #[must_use]
    pub fn stdout(mut self, stdout: impl Write + Send + 'static) -> Self {
        self.stdout = Output::To(Arc::new(Mutex::new(stdout)));
        self
    }

    /// Writes standard error to this.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Write + Send + 'static) -> Self {
        self.stderr = Output::To(Arc::new(Mutex::new(stderr)));
        self
    }

    /// An error if the working directory is gone.
    pub(crate) fn needs_dir(&self) -> Result<(), Failure> {
        if self.dir.as_os_str().is_empty() {
            let lost = |source| Failure::System { what: "finding the current directory", source };
            process::directory().map_err(lost)?;
        }
        Ok(())
    }

    /// The path of a file named in an argument.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.base.join(self.environment.expand(name))
    }

    /// The paths of files named in an option's value; `~` is kept.
    pub(crate) fn files(&self, names: &Value) -> Value {
        match names {
            Value::String(name) if !name.starts_with('~') => self.base.join(name).to_string_lossy().into(),
            Value::Array(names) => names.iter().map(|name| self.files(name)).collect(),
            _ => names.clone(),
        }
    }

    /// The content of a host list file; `-` is standard input.
    pub(crate) fn host_list(&self, name: &str) -> io::Result<String> {
        if name == "-" { self.stdin.text() } else { fs::read_to_string(self.file(name)) }
    }

    /// A variable, unless it is empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).filter(|value| !value.is_empty())
    }

    /// The directory of temporary files: `$TMPDIR`, or `/tmp`.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.variable("TMPDIR").unwrap_or("/tmp").into()
    }

    /// The directory for state: `$XDG_STATE_HOME/fabric`, or `~/.local/state/fabric`.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        Some(self.environment.xdg("XDG_STATE_HOME", ".local/state")?.join("fabric"))
    }

    /// The directory of journals.
    pub(crate) fn journals(&self) -> Option<PathBuf> {
        Some(self.state_dir()?.join("runs"))
    }

    /// Writes to standard output. A reader that closes it early is no error.
    pub(crate) fn print(&self, text: &str) -> Result<Exit, Failure> {
        let mut stdout = self.stdout.writer();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(source) if source.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::System { what: "writing to standard output", source })
            }
            _ => Ok(Exit::Ok),
        }
    }

    /// Writes to standard error.
    pub(crate) fn say(&self, text: &str) {
        // An error here could be reported nowhere else.
        let _ = self.stderr.writer().write_all(text.as_bytes());
    }

    /// A writer for standard output.
    pub(crate) fn stdout_writer(&self) -> Box<dyn Write + Send> {
        self.stdout.writer()
    }

    /// A writer for standard error.
    pub(crate) fn stderr_writer(&self) -> Box<dyn Write + Send> {
        self.stderr.writer()
    }

    /// The text used as standard input, if it is not the process's.
    pub(crate) fn own_stdin(&self) -> Option<Vec<u8>> {
        match &self.stdin {
            Input::Process(_) => None,
            Input::Bytes(bytes) => Some(bytes.to_vec()),
        }
    }

    /// Whether standard input is a terminal.
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self.stdin, Input::Process(_)) && io::stdin().is_terminal()
    }

    /// Whether standard input may have content: it is a pipe, a socket or a file that isn't empty.
    pub(crate) fn has_input(&self) -> bool {
        use std::os::unix::fs::FileTypeExt as _;
        if let Input::Bytes(bytes) = &self.stdin {
            return !bytes.is_empty();
        }
        let Ok(stdin) = rustix::stdio::stdin().try_clone_to_owned() else { return false };
        let Ok(stat) = fs::File::from(stdin).metadata() else { return false };
        let kind = stat.file_type();
        kind.is_fifo() || kind.is_socket() || (kind.is_file() && stat.len() > 0)
    }

    /// Whether standard error is a terminal.
    pub(crate) fn shows_messages(&self) -> bool {
        matches!(&self.stderr, Output::Process(stderr) if stderr.is_terminal())
    }

    /// The width of the terminal that is standard output; 80 if it is none.
    pub(crate) fn width(&self) -> usize {
        match &self.stdout {
            Output::Process(stdout) => size(*stdout).map_or(80, |(columns, _)| columns),
            Output::To(_) => 80,
        }
    }
}

/// Columns and rows of the terminal that is standard error; 80 and 24 if it is none.
pub(crate) fn terminal_size() -> (usize, usize) {
    size(rustix::stdio::stderr()).unwrap_or((80, 24))
}

fn size(terminal: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(terminal).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

#[derive(Clone)]
enum Input {
    /// The process's, with its text once it was read for a host list.
    Process(Arc<OnceLock<String>>),
    Bytes(Arc<Vec<u8>>),
}

impl Input {
    /// Its whole text, which is read once.
    fn text(&self) -> io::Result<String> {
        match self {
            Self::Process(read) => {
                if let Some(text) = read.get() {
                    return Ok(text.clone());
                }
                let text = io::read_to_string(io::stdin())?;
                Ok(read.get_or_init(|| text).clone())
            }
            Self::Bytes(bytes) => io::read_to_string(bytes.as_slice()),
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process(_) => "the process's",
            Self::Bytes(_) => "bytes",
        })
    }
}

#[derive(Clone)]
enum Output {
    Process(BorrowedFd<'static>),
    To(Arc<Mutex<dyn Write + Send>>),
}

impl Output {
    fn writer(&self) -> Box<dyn Write + Send> {
        match self {
            Self::Process(stream) => Box::new(PatientWriter(*stream)),
            Self::To(stream) => Box::new(SharedWriter(stream.clone())),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process(_) => "the process's",
            Self::To(_) => "a writer",
        })
    }
}

/// Writes to a descriptor without a buffer, and waits if another program made it non-blocking.
struct PatientWriter(BorrowedFd<'static>);

impl Write for PatientWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            match rustix::io::write(self.0, bytes) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => {
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                done => return done.map_err(io::Error::from),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes to a shared stream.
struct SharedWriter(Arc<Mutex<dyn Write + Send>>);

impl Write for SharedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().flush()
    }
}
