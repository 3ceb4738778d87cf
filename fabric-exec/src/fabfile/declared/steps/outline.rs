//! What is known of steps before they run.

use fabric_core::outcome::Direction;
use fabric_core::{CommandOutcome, TransferOutcome};

use super::values::{outcome_value, texts_of, transfer_value};
use super::{CommandStep, SetValue, ShellChoice, Step, StepInput, Verb};
use crate::hostlist::Selection;
use crate::task::{Effect, Executed, KnownStep, Text};

/// What is known of a step.
pub(super) fn outline(step: &Step) -> KnownStep<'_> {
    let verb = &step.verb;
    let mut known = KnownStep::new(verb.name(), verb.what());
    known.at = &step.at;
    known.condition = step.condition.as_deref();
    known.until = verb.until().map(|until| (until.condition.as_str(), until.retries));
    known.texts = verb.templates();
    known.save = step.save.as_deref();
    known.attributes = verb.attributes();
    known.is_tolerant = step.warn_only == Some(true);
    known.reads = verb.reads();
    known.effect = verb.effect();
    known.places = Some(&step.places);
    known
}

impl Verb {
    /// What it reads on this machine: the source of a `put`, the file that is a command's `stdin`.
    fn reads(&self) -> Option<(&'static str, &str, bool)> {
        match self {
            Self::Put(transfer) => Some(("put", &transfer.from, transfer.template)),
            Self::Run(command) | Self::Sudo(command) | Self::Local(command) => match &command.stdin {
                Some(StepInput::File(file)) => Some(("stdin", file, false)),
                _ => None,
            },
            _ => None,
        }
    }

    fn effect(&self) -> Effect<'_> {
        match self {
            Self::Local(_) | Self::Get(_) => Effect::MakesFiles,
            Self::Execute(execute) => Effect::Executes(Executed {
                task: &execute.task,
                args: &execute.args,
                hosts: &execute.hosts,
                roles: &execute.roles,
                exclude_hosts: &execute.exclude_hosts,
            }),
            Self::Set(values) => {
                let texts = |name: &str| match values.get(name) {
                    Some(SetValue::Plain(value)) => texts_of(value).into_iter().map(str::to_owned).collect(),
                    _ => Vec::new(),
                };
                Effect::Sets {
                    names: values.keys().map(String::as_str).collect(),
                    lists: Selection { hosts: texts("hosts"), roles: texts("roles"), exclude: texts("exclude_hosts") },
                    by_command: values.values().any(|value| matches!(value, SetValue::Command(_))),
                }
            }
            _ => Effect::None,
        }
    }

    /// Its templates. (`until` is a condition and not among them.)
    fn templates(&self) -> Vec<Text<'_>> {
        use Text::{Plain, Shell};

        match self {
            Self::Run(command) | Self::Sudo(command) | Self::Local(command) => command.templates(),
            Self::Put(transfer) | Self::Get(transfer) => {
                let texts = std::iter::once(&transfer.from).chain(&transfer.to).chain(&transfer.temp_dir);
                texts.map(|text| Plain(text)).collect()
            }
            Self::Execute(execute) => {
                let lists = [&execute.hosts, &execute.roles, &execute.exclude_hosts].into_iter().flatten();
                let texts = std::iter::once(&execute.task).chain(lists).map(|text| Plain(text));
                texts.chain(execute.args.values().flat_map(texts_of).map(Plain)).collect()
            }
            Self::Set(values) => values.values().flat_map(SetValue::templates).collect(),
            Self::Prompt(prompt) => {
                std::iter::once(&prompt.text).chain(&prompt.default).map(|text| Plain(text)).collect()
            }
            Self::OpenShell { command } => command.iter().map(|line| Shell(line)).collect(),
        }
    }

    /// The attributes of what it saves, where they are known.
    fn attributes(&self) -> Option<Vec<String>> {
        let value = match self {
            Self::Run(_) | Self::Sudo(_) | Self::Local(_) => outcome_value(&CommandOutcome::new("", "")),
            Self::Put(_) => transfer_value(&TransferOutcome::new("", Direction::Put)),
            Self::Get(_) => transfer_value(&TransferOutcome::new("", Direction::Get)),
            _ => return None,
        };
        value.as_object().map(|members| members.keys().cloned().collect())
    }
}

impl SetValue {
    fn templates(&self) -> Vec<Text<'_>> {
        match self {
            Self::Plain(value) => texts_of(value).into_iter().map(Text::Plain).collect(),
            Self::Command(line) => vec![Text::Shell(line)],
        }
    }
}

impl CommandStep {
    fn templates(&self) -> Vec<Text<'_>> {
        let mut texts: Vec<Text<'_>> = self.commands.iter().chain(&self.prefix).map(|line| Text::Shell(line)).collect();
        // Directories and variables are quoted by the program.
        let quoted = self.cd.iter().chain(&self.path).chain(self.env.values()).chain(&self.user).chain(&self.group);
        texts.extend(quoted.map(|text| Text::Plain(text)));
        if let Some(ShellChoice::Named(shell)) = &self.shell {
            texts.push(Text::Plain(shell));
        }
        if let Some(StepInput::Text(text) | StepInput::File(text)) = &self.stdin {
            texts.push(Text::Plain(text));
        }
        texts
    }
}
