//! What `--list`, `--display` and shell completion show of a collection.

use std::fmt::Write as _;

use serde::Serialize;

use super::Collection;
use crate::task::{Opt, Task};

/// A collection as data to show.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Listing {
    /// What the collection is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Its tasks, by name.
    pub tasks: Vec<Entry>,
    /// Its namespaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<(String, Listing)>,
}

/// A task as data to show.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its name, with its namespaces.
    pub name: String,
    /// Further names, with their namespaces.
    pub aliases: Vec<String>,
    /// What it does.
    pub help: Option<String>,
    /// The first line of that.
    pub summary: Option<String>,
    /// Its parameters.
    pub params: Vec<crate::task::Param>,
    /// Its own hosts.
    pub hosts: Vec<String>,
    /// Its own roles.
    pub roles: Vec<String>,
    /// Whether the name of its namespace alone means it.
    pub default: bool,
}

impl Collection {
    /// Everything in it, tasks by name, then namespaces.
    pub fn listing(&self) -> Listing {
        self.listing_under("")
    }

    fn listing_under(&self, prefix: &str) -> Listing {
        let mut tasks: Vec<Entry> = self.tasks.values().map(|task| Entry::of(task, prefix)).collect();
        tasks.sort_by(|a, b| a.name.cmp(&b.name));
        let mut namespaces: Vec<(String, Listing)> = self
            .namespaces
            .iter()
            .map(|(name, inner)| (name.clone(), inner.listing_under(&format!("{prefix}{name}."))))
            .collect();
        namespaces.sort_by(|a, b| a.0.cmp(&b.0));
        Listing { help: self.doc.clone(), tasks, namespaces }
    }
}

impl Entry {
    fn of(task: &Task, prefix: &str) -> Self {
        Self {
            name: format!("{prefix}{}", task.name),
            aliases: task.aliases.iter().map(|alias| format!("{prefix}{alias}")).collect(),
            help: task.help.clone(),
            summary: task.summary().map(str::to_owned),
            params: task.params.clone(),
            hosts: task.own.hosts.clone(),
            roles: task.own.roles.clone(),
            default: task.default,
        }
    }

    /// The detailed text of `--display` and `--help TASK`: usage, help, parameters.
    pub fn details(&self) -> String {
        let mut text = format!("Usage: fab {}", self.name);
        for option in Opt::all(&self.params) {
            let shown = format!("--{}", option.param.option());
            match (&option.param.default, &option.param.kind) {
                (_, crate::task::ParamKind::Bool) => _ = write!(text, " [{shown}]"),
                (Some(_), _) => _ = write!(text, " [{shown} VALUE]"),
                (None, _) => _ = write!(text, " {shown} VALUE"),
            }
        }
        text.push('\n');
        match &self.help {
            Some(help) => {
                text.push('\n');
                for line in help.trim_end().lines() {
                    _ = writeln!(text, "{}", format!("    {line}").trim_end());
                }
            }
            None => text.push_str("\n    No help provided.\n"),
        }
        if !self.params.is_empty() {
            text.push_str("\nArguments:\n");
            let rows: Vec<(String, String)> = Opt::all(&self.params).iter().map(row).collect();
            let width = rows.iter().map(|(usage, _)| usage.len()).max().unwrap_or(0);
            for (usage, help) in rows {
                _ = writeln!(text, "{}", format!("    {usage:width$}  {help}").trim_end());
            }
        }
        for (title, list) in [("Aliases", &self.aliases), ("Hosts", &self.hosts), ("Roles", &self.roles)] {
            if !list.is_empty() {
                _ = writeln!(text, "\n{title}: {}", list.join(", "));
            }
        }
        text
    }
}

fn row(option: &Opt<'_>) -> (String, String) {
    let help = option.param.help.clone().unwrap_or_default();
    let default = match &option.param.default {
        None => "(required)".to_owned(),
        Some(serde_json::Value::String(text)) => format!("(default: {text})"),
        Some(value) => format!("(default: {value})"),
    };
    let space = if help.is_empty() { "" } else { " " };
    (option.usage(), format!("{help}{space}{default}"))
}

impl Listing {
    /// Every task's name, aliases included, and the names of namespaces with a default task.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.short().into_iter().chain(self.entries().flat_map(|entry| entry.aliases.clone()).collect::<Vec<_>>())
    }

    /// All tasks, those of namespaces after the others.
    pub fn entries(&self) -> Box<dyn Iterator<Item = &Entry> + '_> {
        Box::new(self.tasks.iter().chain(self.namespaces.iter().flat_map(|(_, inner)| inner.entries())))
    }

    /// `-F short`: one name a line.
    pub fn short(&self) -> Vec<String> {
        self.entries().map(|entry| entry.name.clone()).collect()
    }

    /// `-F normal`: name and summary in columns, summaries cut to `width` columns.
    pub fn normal(&self, width: usize) -> String {
        let mut text = self.head("");
        let names = self.entries().map(|entry| entry.name.chars().count()).max().unwrap_or(0);
        for entry in self.entries() {
            text.push_str(&line(&entry.name, entry.summary.as_deref(), names, 4, width));
        }
        text
    }

    /// `-F nested`: namespaces as a tree.
    pub fn nested(&self, width: usize) -> String {
        let mut text = self.head(" (remember to call as namespace.[...].task)");
        self.nest(&mut text, 4, width);
        text
    }

    fn nest(&self, text: &mut String, indent: usize, width: usize) {
        let last = |entry: &Entry| entry.name.rsplit('.').next().unwrap_or_default().to_owned();
        let names = self.tasks.iter().map(|entry| last(entry).chars().count()).max().unwrap_or(0);
        for entry in &self.tasks {
            text.push_str(&line(&last(entry), entry.summary.as_deref(), names, indent, width));
        }
        for (name, inner) in &self.namespaces {
            _ = writeln!(text, "{:indent$}{name}:", "");
            inner.nest(text, indent + 4, width);
        }
    }

    fn head(&self, note: &str) -> String {
        let help = self.help.as_ref().map(|help| format!("{}\n\n", help.trim_end())).unwrap_or_default();
        format!("{help}Available commands{note}:\n\n")
    }
}

fn line(name: &str, summary: Option<&str>, names: usize, indent: usize, width: usize) -> String {
    let Some(summary) = summary else { return format!("{:indent$}{name}\n", "") };
    let room = width.saturating_sub(indent + names + 2);
    let summary = if summary.chars().count() > room && room > 3 {
        let cut: String = summary.chars().take(room - 3).collect();
        format!("{}...", cut.trim_end())
    } else {
        summary.to_owned()
    };
    format!("{:indent$}{name:names$}  {summary}\n", "")
}
