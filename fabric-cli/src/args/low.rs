//! What was typed: words, options and the remainder, told apart but not yet understood.

use fabric_core::settings::nearest;

use super::UsageError;
use super::table::{self, OPTIONS, Opt, Takes};

/// A command line, told apart.
#[derive(Debug, Default)]
pub struct Typed {
    /// The options of `fab` itself, in order.
    pub options: Vec<Given>,
    /// The tasks, in order.
    pub tasks: Vec<TypedTask>,
    /// What came after `--`, if that was typed.
    pub remainder: Option<Vec<String>>,
}

/// An option of `fab`, with its value.
#[derive(Debug)]
pub struct Given {
    /// Which.
    pub option: &'static Opt,
    /// Its value, if it has one.
    pub value: Option<String>,
}

/// A task as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedTask {
    /// Its word: `deploy`, `deploy:prod,version=1.2`.
    pub word: String,
    /// The options that belong to it: the parameter's name and the value as text. A switch has `true` or
    /// `false`.
    pub options: Vec<(String, String)>,
}

impl TypedTask {
    /// The task's name: its word up to the first colon.
    pub fn name(&self) -> &str {
        self.word.split_once(':').map_or(&self.word, |(name, _)| name)
    }
}

/// What the parser must know of a task's parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The parameter's name.
    pub name: String,
    /// How it is given.
    pub kind: FlagKind,
    /// The letter that stands for it, if there is one.
    pub letter: Option<char>,
}

/// How a task's parameter is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagKind {
    /// `--name` and `--no-name`.
    Switch,
    /// `--name VALUE`.
    Value,
}

impl Flag {
    /// Its long option, without dashes: underscores become dashes.
    pub fn long(&self) -> String {
        self.name.trim_matches('_').replace('_', "-")
    }
}

/// Gives each parameter that has none yet a letter: the first letter of its name that neither an earlier
/// parameter nor `fab` itself has (Fabric 3, which let parameters take letters from the program).
pub fn assign_letters(flags: &mut [Flag]) {
    for index in 0..flags.len() {
        let mut name = flags[index].name.chars();
        flags[index].letter = match (name.next(), name.next()) {
            (Some(only), None) => Some(only),
            _ => flags[index]
                .name
                .chars()
                .filter(char::is_ascii_alphabetic)
                .find(|c| table::by_letter(*c).is_none() && !flags.iter().any(|other| other.is_letter(*c))),
        };
    }
}

impl Flag {
    fn is_letter(&self, letter: char) -> bool {
        self.letter == Some(letter) || self.name.chars().eq([letter])
    }
}

/// Who knows what parameters a task declares.
pub trait Declared {
    /// The parameters of the task of this name; empty for one that is unknown or has none.
    fn flags(&self, task: &str) -> Vec<Flag>;
}

/// Knows no task.
#[derive(Debug, Clone, Copy)]
pub struct NothingDeclared;

impl Declared for NothingDeclared {
    fn flags(&self, _task: &str) -> Vec<Flag> {
        Vec::new()
    }
}

/// Tells the whole command line apart.
pub fn parse(args: &[String], declared: &dyn Declared) -> Result<Typed, UsageError> {
    let mut parser = Parser { args: args.iter().peekable(), typed: Typed::default(), flags: Vec::new() };
    while let Some(arg) = parser.args.next() {
        if arg == "--" {
            parser.typed.remainder = Some(parser.args.by_ref().cloned().collect());
        } else if let Some(long) = arg.strip_prefix("--") {
            parser.long(long)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            parser.letters(&arg[1..])?;
        } else {
            parser.typed.tasks.push(TypedTask { word: arg.clone(), options: Vec::new() });
            parser.flags = declared.flags(parser.typed.tasks.last().map_or("", TypedTask::name));
        }
    }
    Ok(parser.typed)
}

/// The options before the first task: what can be known before there is a fabfile.
pub fn parse_head(args: &[String]) -> Result<Typed, UsageError> {
    let is_option = |arg: &String| arg.len() > 1 && arg.starts_with('-') && arg != "--";
    let mut parser = Parser { args: args.iter().peekable(), typed: Typed::default(), flags: Vec::new() };
    while let Some(arg) = parser.args.next_if(|arg| is_option(arg)) {
        match arg.strip_prefix("--") {
            Some(long) => parser.long(long)?,
            None => parser.letters(&arg[1..])?,
        }
    }
    Ok(parser.typed)
}

struct Parser<'a> {
    args: std::iter::Peekable<std::slice::Iter<'a, String>>,
    typed: Typed,
    /// Of the task that was typed last.
    flags: Vec<Flag>,
}

impl Parser<'_> {
    fn long(&mut self, text: &str) -> Result<(), UsageError> {
        let (name, attached) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if let Some((flag, value)) = self.task_flag(name) {
            return self.task_option(&flag, value, &format!("--{name}"), attached);
        }
        let option = match (table::by_name(name), &table::by_prefix(name)[..]) {
            (Some(option), _) => option,
            (None, [option]) => *option,
            (None, []) => return Err(self.unknown(&format!("--{name}"))),
            (None, several) => {
                return Err(UsageError::Ambiguous {
                    option: format!("--{name}"),
                    candidates: several.iter().map(|option| option.name()).collect(),
                });
            }
        };
        self.option(option, attached)
    }

    /// The parameter of the last task that this long option means, and the value of a switch.
    fn task_flag(&self, name: &str) -> Option<(Flag, bool)> {
        let find = |name: &str| self.flags.iter().find(|flag| flag.long() == name || flag.name == name).cloned();
        find(name).map(|flag| (flag, true)).or_else(|| {
            let flag = find(name.strip_prefix("no-")?)?;
            (flag.kind == FlagKind::Switch).then_some((flag, false))
        })
    }

    fn letters(&mut self, cluster: &str) -> Result<(), UsageError> {
        let mut rest = cluster.chars();
        while let Some(letter) = rest.next() {
            let after = rest.as_str();
            let attached = (!after.is_empty()).then(|| after.strip_prefix('=').unwrap_or(after).to_owned());
            if let Some(flag) = self.flags.iter().find(|flag| flag.is_letter(letter)).cloned() {
                match flag.kind {
                    FlagKind::Switch => self.task_option(&flag, true, &format!("-{letter}"), None)?,
                    FlagKind::Value => return self.task_option(&flag, true, &format!("-{letter}"), attached),
                }
            } else if let Some(option) = table::by_letter(letter) {
                if option.takes != Takes::Nothing {
                    return self.option(option, attached);
                }
                self.option(option, None)?;
            } else {
                return Err(self.unknown(&format!("-{letter}")));
            }
        }
        Ok(())
    }

    fn option(&mut self, option: &'static Opt, attached: Option<String>) -> Result<(), UsageError> {
        let missing = |name: &str| UsageError::MissingValue { option: option.name(), value: name.to_owned() };
        let value = match option.takes {
            Takes::Nothing => match attached {
                Some(_) => return Err(UsageError::UnexpectedValue { option: option.name() }),
                None => None,
            },
            Takes::Value(name) => Some(attached.or_else(|| self.args.next().cloned()).ok_or_else(|| missing(name))?),
            Takes::OneOf(words) => {
                let value = attached.or_else(|| self.args.next().cloned()).ok_or_else(|| missing(&words.join("|")))?;
                Some(choice(option, words, value)?)
            }
            Takes::MaybeOneOf(words) => attached.map(|value| choice(option, words, value)).transpose()?,
            Takes::MaybeNextOneOf(words) => match attached {
                Some(value) => Some(choice(option, words, value)?),
                None => self.args.next_if(|next| words.contains(&next.as_str())).cloned(),
            },
            Takes::MaybeNext(_) => attached.or_else(|| self.args.next_if(|next| !next.starts_with('-')).cloned()),
            Takes::Many(name) => {
                let first = attached.or_else(|| self.args.next_if(|next| !next.starts_with('-')).cloned());
                let mut value = Some(first.ok_or_else(|| missing(name))?);
                while let Some(next) = self.args.next_if(|next| !next.starts_with('-')) {
                    self.typed.options.push(Given { option, value: value.replace(next.clone()) });
                }
                value
            }
        };
        self.typed.options.push(Given { option, value });
        Ok(())
    }

    fn task_option(
        &mut self,
        flag: &Flag,
        switch: bool,
        spelling: &str,
        attached: Option<String>,
    ) -> Result<(), UsageError> {
        let task = self.typed.tasks.last_mut();
        let name = || format!("{spelling} (of task `{}`)", task.as_ref().map_or("", |task| task.name()));
        let value = match flag.kind {
            FlagKind::Switch if attached.is_some() => return Err(UsageError::UnexpectedValue { option: name() }),
            FlagKind::Switch => switch.to_string(),
            FlagKind::Value => match attached.or_else(|| self.args.next().cloned()) {
                Some(value) => value,
                None => return Err(UsageError::MissingValue { option: name(), value: flag.name.to_uppercase() }),
            },
        };
        if let Some(task) = task {
            task.options.push((flag.name.clone(), value));
        }
        Ok(())
    }

    fn unknown(&self, option: &str) -> UsageError {
        let names = OPTIONS.iter().map(|option| option.long.to_owned());
        let mut names: Vec<String> = names.chain(self.flags.iter().map(Flag::long)).collect();
        names.sort_unstable();
        let hint = option
            .strip_prefix("--")
            .and_then(|name| nearest(name, names.iter().map(String::as_str)))
            .map(|name| format!("--{name}"));
        let task = self.typed.tasks.last().map(|task| task.name().to_owned());
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

    struct Deploy;

    impl Declared for Deploy {
        fn flags(&self, task: &str) -> Vec<Flag> {
            let flag = |name: &str, kind| Flag { name: name.to_owned(), kind, letter: None };
            let mut flags = match task {
                "deploy" => vec![
                    flag("version", FlagKind::Value),
                    flag("restart", FlagKind::Switch),
                    flag("dry_run", FlagKind::Switch),
                    flag("v", FlagKind::Switch),
                ],
                _ => Vec::new(),
            };
            assign_letters(&mut flags);
            flags
        }
    }

    /// One line a thing: `--name=value`, `task(param=value)`, `-- words`.
    fn told(args: &str) -> String {
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        match parse(&args, &Deploy) {
            Err(error) => format!("error: {error}"),
            Ok(typed) => {
                let mut out: Vec<String> = Vec::new();
                for Given { option, value } in &typed.options {
                    out.push(option.name() + &value.as_ref().map(|v| format!("={v}")).unwrap_or_default());
                }
                for task in &typed.tasks {
                    let options: Vec<String> = task.options.iter().map(|(k, v)| format!("{k}={v}")).collect();
                    out.push(format!("{}({})", task.word, options.join(" ")));
                }
                out.extend(typed.remainder.map(|words| format!("-- {}", words.join(" "))));
                out.join("; ")
            }
        }
    }

    #[test]
    fn command_lines_are_told_apart() {
        for (typed, expected) in [
            ("-H web1,web2 -- uname -a -H", "--hosts=web1,web2; -- uname -a -H"),
            ("-Hweb1 -H=web2", "--hosts=web1; --hosts=web2"),
            ("-Pz 5 -wk", "--parallel; --pool-size=5; --warn-only; --no-keys"),
            ("-z5 deploy", "--pool-size=5; deploy()"),
            ("deploy -H web1 restart", "--hosts=web1; deploy(); restart()"),
            ("build deploy:prod,version=1.2 restart", "build(); deploy:prod,version=1.2(); restart()"),
            ("deploy --version 1.2 --no-restart -v", "deploy(version=1.2 restart=false v=true)"),
            ("deploy --dry-run build --dry-run", "--dry-run; deploy(dry_run=true); build()"),
            ("deploy --dry_run", "deploy(dry_run=true)"),
            ("deploy --version=-1 -v", "deploy(version=-1 v=true)"),
            ("deploy --version", "error: --version (of task `deploy`) needs a value: VERSION"),
            ("--version", "--version"),
            ("--hid=status", "--hide=status"),
            ("--ret 3", "error: --ret is ambiguous: --retries, --retry-failed"),
            ("--no_agent --no-agent", "--no-agent; --no-agent"),
            ("--plugin x --plugins", "--plugin=x; --plugins"),
            ("--plan deploy", "--plan; deploy()"),
            ("--plan=json deploy", "--plan=json; deploy()"),
            ("--init toml", "--init=toml"),
            ("--init deploy", "--init; deploy()"),
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
            (
                "-F nestd",
                "error: --list-format: `nestd` is not one of short, normal, nested, json: did you mean nested?",
            ),
            ("-H", "error: --hosts needs a value: HOSTS"),
            ("--", "-- "),
            ("-", "-()"),
        ] {
            assert_eq!(told(typed), expected, "fab {typed}");
        }
    }

    #[test]
    fn letters_leave_those_of_the_program_alone() {
        let names = ["user", "path", "verbose", "version", "x"];
        let mut flags: Vec<Flag> =
            names.map(|n| Flag { name: n.to_owned(), kind: FlagKind::Value, letter: None }).into();
        assign_letters(&mut flags);
        let letters: Vec<Option<char>> = flags.iter().map(|flag| flag.letter).collect();
        // `u`, `s`, `e`, `r`, `p`, `a`, `t`, `h` are the program's.
        assert_eq!(letters, [None, None, Some('v'), Some('o'), Some('x')]);
    }

    #[test]
    fn the_head_ends_at_the_first_task() {
        let args: Vec<String> = ["-f", "x.toml", "deploy", "-V"].map(str::to_owned).into();
        let head = parse_head(&args).unwrap();
        assert_eq!(head.options.len(), 1);
        assert_eq!(head.options[0].value.as_deref(), Some("x.toml"));
    }
}
