//! The command line as typed: options, tasks and the command after `--`, not interpreted yet.

use fabric_core::{HostStringError, settings::nearest};
use fabric_exec::hostlist::expand_item;
use fabric_exec::{Invocation, Param, take_options};

use super::UsageError;
use super::option::{Completes, GivenOption, Opt, ValueKind};
use super::table::{self, OPTIONS};

/// A command line, parsed.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    /// The options of `fab` itself, in order.
    pub options: Vec<GivenOption>,
    /// The tasks with their arguments, in order.
    pub tasks: Vec<Invocation>,
    /// The parameters of each task.
    pub params: Vec<Vec<Param>>,
    /// The tasks' words, as typed.
    pub words: Vec<String>,
    /// The words after `--`, if it was typed.
    pub remainder: Option<Vec<String>>,
}

/// Returns the parameters of the task of a name; none if there is no such task.
pub(crate) type Declared<'a> = &'a dyn Fn(&str) -> Vec<Param>;

/// Parses the whole command line.
///
/// # Errors
///
/// The first error.
pub(crate) fn parse(args: &[String], declared: Declared<'_>) -> Result<Typed, UsageError> {
    let (typed, parsed) = parse_as_far_as_possible(args, declared);
    parsed.map(|()| typed)
}

/// Parses up to the first error, which is returned too.
pub(crate) fn parse_as_far_as_possible(args: &[String], declared: Declared<'_>) -> (Typed, Result<(), UsageError>) {
    let mut parser = Parser { args, typed: Typed::default(), params: Vec::new() };
    let parsed = parser.all(declared);
    (parser.typed, parsed)
}

/// Parses the options before the first task, for which no fabfile is needed, and returns what follows.
pub(crate) fn parse_head(args: &[String]) -> Result<(Typed, &[String]), UsageError> {
    tracing::trace!(route = "words: options, tasks with their arguments, a command");
    let mut parser = Parser { args, typed: Typed::default(), params: Vec::new() };
    while parser.args.first().is_some_and(|arg| is_option(arg)) {
        parser.option()?;
    }
    Ok((parser.typed, parser.args))
}

/// Expands an item of a host list. A `@file` is left as it is, to be read later.
fn but_for_files(item: &str) -> Result<Vec<String>, HostStringError> {
    if item.starts_with('@') { Ok(vec![item.to_owned()]) } else { expand_item(item) }
}

fn is_option(arg: &str) -> bool {
    arg.len() > 1 && arg.starts_with('-') && arg != "--"
}

/// Whether a word is an option of `fab`.
fn is_own(word: &str) -> bool {
    match word.strip_prefix("--") {
        Some(long) => {
            let name = long.split_once('=').map_or(long, |(name, _)| name);
            table::by_name(name).is_some() || !table::by_prefix(name).is_empty()
        }
        None => word.chars().nth(1).is_some_and(|letter| table::by_letter(letter).is_some()),
    }
}

struct Parser<'a> {
    args: &'a [String],
    typed: Typed,
    /// The parameters of the last task.
    params: Vec<Param>,
}

impl Parser<'_> {
    fn all(&mut self, declared: Declared<'_>) -> Result<(), UsageError> {
        while let [arg, rest @ ..] = self.args {
            if arg == "--" {
                self.typed.remainder = Some(rest.to_vec());
                break;
            } else if is_option(arg) {
                let taken = match self.typed.tasks.last_mut() {
                    Some(call) => {
                        take_options(&self.params, self.args, call, is_own).map_err(UsageError::TaskOption)?
                    }
                    None => 0,
                };
                match taken {
                    0 => self.option()?,
                    _ => self.args = &self.args[taken..],
                }
            } else {
                self.args = rest;
                let call = Invocation::parse_with(arg, but_for_files)?;
                self.params = declared(&call.task);
                self.typed.params.push(self.params.clone());
                self.typed.tasks.push(call);
                self.typed.words.push(arg.clone());
            }
        }
        Ok(())
    }

    /// ValueKind the next word, an option of `fab`, with its value.
    fn option(&mut self) -> Result<(), UsageError> {
        let Some(word) = self.next() else { return Ok(()) };
        let Some(long) = word.strip_prefix("--") else { return self.letters(&word[1..]) };
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let of_task = self.params.iter().map(Param::option).find(|option| option.starts_with(name));
        let option = match (table::by_name(name), &table::by_prefix(name)[..]) {
            (Some(option), _) => option,
            // Ambiguous with the task's own options too: never guess.
            (None, [option, ..]) if of_task.is_some() => {
                let candidates = of_task.map(|name| format!("the task's --{name}"));
                let candidates = candidates.into_iter().chain([option.name()]).collect();
                return Err(UsageError::Ambiguous { option: format!("--{name}"), candidates });
            }
            (None, [option]) => *option,
            (None, []) => return Err(self.unknown(&format!("--{name}"))),
            (None, several) => {
                let candidates = several.iter().map(|option| option.name()).collect();
                return Err(UsageError::Ambiguous { option: format!("--{name}"), candidates });
            }
        };
        self.value(option, attached)
    }

    fn letters(&mut self, cluster: &str) -> Result<(), UsageError> {
        let mut rest = cluster.chars();
        while let Some(letter) = rest.next() {
            let option = table::by_letter(letter).ok_or_else(|| self.unknown(&format!("-{letter}")))?;
            if option.takes == ValueKind::Nothing {
                if rest.as_str().starts_with('=') {
                    return Err(UsageError::UnexpectedValue { option: format!("-{letter}") });
                }
                self.value(option, None)?;
            } else {
                let after = rest.as_str();
                let attached = (!after.is_empty()).then(|| after.strip_prefix('=').unwrap_or(after).to_owned());
                return self.value(option, attached);
            }
        }
        Ok(())
    }

    fn value(&mut self, option: &'static Opt, attached: Option<String>) -> Result<(), UsageError> {
        // Else it would look as if the task had run.
        if let Some(call) = self.typed.tasks.last().filter(|_| !option.after_tasks) {
            return Err(UsageError::NotAfterTask { option: option.name(), task: call.task.clone() });
        }
        let missing = |name: &str| UsageError::MissingValue { option: option.name(), value: name.to_owned() };
        let value = match option.takes {
            ValueKind::Nothing => match attached {
                Some(_) => return Err(UsageError::UnexpectedValue { option: option.name() }),
                None => None,
            },
            ValueKind::Value(name) => {
                let value = attached.or_else(|| self.next()).ok_or_else(|| missing(name))?;
                // No host string begins with a dash: this is the next option, and the value is missing.
                if option.completes == Completes::Hosts && value.starts_with('-') {
                    return Err(UsageError::OptionForHosts { option: option.name(), kind: name, found: value });
                }
                Some(value)
            }
            ValueKind::OneOf(words) => {
                let value = attached.or_else(|| self.next()).ok_or_else(|| missing(&words.join("|")))?;
                Some(choice(option, words, value)?)
            }
            ValueKind::MaybeOneOf(words) => attached.map(|value| choice(option, words, value)).transpose()?,
            ValueKind::MaybeNextOneOf(words) => match attached {
                Some(value) => Some(choice(option, words, value)?),
                None => self.next_if(|next| words.contains(&next)),
            },
            ValueKind::MaybeNext(_) => attached.or_else(|| self.next_if(|next| !next.starts_with('-'))),
            ValueKind::Many(name) => {
                let first = attached.or_else(|| self.next_if(|next| !next.starts_with('-')));
                let mut value = first.ok_or_else(|| missing(name))?;
                while let Some(next) = self.next_if(|next| !next.starts_with('-')) {
                    let value = Some(std::mem::replace(&mut value, next));
                    self.typed.options.push(GivenOption { option, value });
                }
                Some(value)
            }
        };
        self.typed.options.push(GivenOption { option, value });
        Ok(())
    }

    fn next(&mut self) -> Option<String> {
        self.next_if(|_| true)
    }

    fn next_if(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let (first, rest) = self.args.split_first().filter(|(first, _)| fits(first))?;
        self.args = rest;
        Some(first.clone())
    }

    fn unknown(&self, option: &str) -> UsageError {
        let names = OPTIONS.iter().map(|option| option.long.to_owned());
        let mut names: Vec<String> = names.chain(self.params.iter().map(Param::option)).collect();
        names.sort_unstable();
        let hint = option
            .strip_prefix("--")
            .and_then(|name| nearest(name, names.iter().map(String::as_str)))
            .map(|name| format!("--{name}"));
        let task = self.typed.tasks.last().map(|call| call.task.clone());
        UsageError::UnknownOption { option: option.to_owned(), task, hint }
    }
}

fn choice(option: &Opt, words: &'static [&'static str], value: String) -> Result<String, UsageError> {
    if words.contains(&value.as_str()) {
        return Ok(value);
    }
    let hint = nearest(&value, words.iter().copied());
    Err(UsageError::NotOneOf { what: option.name(), value, words: words.join(", "), hint: hint.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(task: &str) -> Vec<Param> {
        match task {
            "deploy" => vec![
                Param::required("version"),
                Param::optional("restart", true),
                Param::optional("dry_run", false),
                Param::optional("v", false).short('v'),
            ],
            _ => Vec::new(),
        }
    }

    /// Everything, in order: `--name=value`, `task(param=value)`, `-- words`.
    fn shown(args: &str) -> String {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        match parse(&args, &deploy) {
            Err(error) => format!("error: {error}"),
            Ok(typed) => {
                let mut out: Vec<String> = Vec::new();
                for GivenOption { option, value } in &typed.options {
                    out.push(option.name() + &value.as_ref().map(|v| format!("={v}")).unwrap_or_default());
                }
                out.extend(typed.tasks.iter().map(Invocation::token));
                out.extend(typed.remainder.map(|words| format!("-- {}", words.join(" "))));
                out.join("; ")
            }
        }
    }

    #[test]
    fn command_lines_are_taken_apart() {
        for (typed, expected) in [
            ("-H web1,web2 -- uname -a -H", "--hosts=web1,web2; -- uname -a -H"),
            ("-Hweb1 -H=web2", "--hosts=web1; --hosts=web2"),
            ("-Pz 5 -wk", "--parallel; --pool-size=5; --warn-only; --no-keys"),
            ("-z5 deploy", "--pool-size=5; deploy"),
            ("deploy -H web1 restart", "--hosts=web1; deploy; restart"),
            ("build deploy:prod,version=1.2 restart", "build; deploy:prod,version=1.2; restart"),
            ("deploy --version 1.2 --no-restart -v", "deploy:version=1.2,restart=false,v=true"),
            ("deploy --dry-run build --dry-run", "--dry-run; deploy:dry_run=true; build"),
            ("deploy --dry_run", "deploy:dry_run=true"),
            ("deploy --vers 1", "error: --vers is ambiguous: the task's --version, --version"),
            ("deploy --repo x", "--report=x; deploy"),
            (
                "deploy --version --list",
                "error: option `--version` of task `deploy` needs a value, and `--list` is an option: write `--version=--list` if that is it",
            ),
            (
                "deploy --version -v",
                "error: option `--version` of task `deploy` needs a value, and `-v` is an option: write `--version=-v` if that is it",
            ),
            (
                "deploy --version --no-restart",
                "error: option `--version` of task `deploy` needs a value, and `--no-restart` is an option: write `--version=--no-restart` if that is it",
            ),
            (
                "deploy --version --hosts=a",
                "error: option `--version` of task `deploy` needs a value, and `--hosts=a` is an option: write `--version=--hosts=a` if that is it",
            ),
            (
                "deploy --version -- id",
                "error: option `--version` of task `deploy` needs a value, and `--` is an option",
            ),
            ("deploy --version=--list", "deploy:version=--list"),
            ("deploy --version -1.5", "deploy:version=-1.5"),
            ("deploy --version - -v", "deploy:version=-,v=true"),
            ("deploy --version --beta", "deploy:version=--beta"),
            ("deploy --version=-1 -v", "deploy:version=-1,v=true"),
            ("deploy -H a --plan --format json -h", "--hosts=a; --plan; --format=json; --help; deploy"),
            ("build --vers 2", "error: task `build` has no option --version, and that of fab goes before the tasks"),
            ("build -wV", "error: task `build` has no option --version, and that of fab goes before the tasks"),
            ("build -F json", "error: task `build` has no option --list-format, and that of fab goes before the tasks"),
            ("deploy --version", "error: option `--version` of task `deploy` needs a value"),
            ("--version", "--version"),
            ("--hid=status", "--hide=status"),
            ("--ret 3", "error: --ret is ambiguous: --retries, --retry-failed"),
            ("--no_agent --no-agent", "--no-agent; --no-agent"),
            ("--plugin x --plugins", "--plugin=x; --plugins"),
            ("--plan deploy", "--plan; deploy"),
            ("--plan=json deploy", "--plan=json; deploy"),
            ("--init toml", "--init=toml"),
            ("--init deploy", "--init; deploy"),
            ("--show-config web1 --format json", "--show-config=web1; --format=json"),
            (
                "--merge-reports a.json b.json --report c.json",
                "--merge-reports=a.json; --merge-reports=b.json; --report=c.json",
            ),
            ("--hots x", "error: there is no option --hots: did you mean --hosts?"),
            (
                "deploy --verson 3",
                "error: neither fab nor task `deploy` has an option --verson: did you mean --version?",
            ),
            ("deploy -q", "error: neither fab nor task `deploy` has an option -q"),
            ("--parallel=3", "error: --parallel takes no value"),
            ("-wP=3", "error: -P takes no value"),
            (
                "-F nestd",
                "error: --list-format: `nestd` is not one of short, normal, nested, json: did you mean nested?",
            ),
            ("-H", "error: --hosts needs a value: HOSTS"),
            ("-H --list", "error: --hosts needs a value, HOSTS: `--list` begins with `-`, which no host does"),
            ("-x -w", "error: --exclude-hosts needs a value, HOSTS: `-w` begins with `-`, which no host does"),
            ("--only -- id", "error: --only needs a value, HOSTS: `--` begins with `-`, which no host does"),
            ("-g=-A", "error: --gateway needs a value, GATEWAY: `-A` begins with `-`, which no host does"),
            (
                "deploy --hosts --plan",
                "error: --hosts needs a value, HOSTS: `--plan` begins with `-`, which no host does",
            ),
            ("-u --list", "--user=--list"),
            ("--", "-- "),
        ] {
            assert_eq!(shown(typed), expected, "fab {typed}");
        }
    }

    #[test]
    fn the_head_ends_at_the_first_task() {
        let args: Vec<String> = ["-f", "x.toml", "deploy", "-V"].map(str::to_owned).into();
        let (head, rest) = parse_head(&args).unwrap();
        assert_eq!(head.options.len(), 1);
        assert_eq!(head.options[0].value.as_deref(), Some("x.toml"));
        assert_eq!(rest, ["deploy", "-V"]);
    }
}
