//! A plan as text for people.

use std::fmt::{self, Display, Write as _};

use super::planned::{Because, Plan, PlannedTask};

/// Up to so many hosts are named one by one; more are folded into ranges.
const NAMED: usize = 12;

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tasks.is_empty() {
            return f.write_str("nothing would run\n");
        }
        for (index, task) in self.tasks.iter().enumerate() {
            show(f, task, &format!("{}. ", index + 1), 0)?;
        }
        Ok(())
    }
}

fn show(f: &mut fmt::Formatter<'_>, task: &PlannedTask, number: &str, indent: usize) -> fmt::Result {
    let because = match task.because {
        Because::Asked | Because::Executed => "",
        Because::Pre => " (before the next)",
        Because::Post => " (after the one before)",
        Because::Health => " (after each batch)",
        Because::Rollback => " (if it does not come to its end)",
    };
    writeln!(f, "{:indent$}{number}{}{because}: {}", "", task.task, how(task))?;
    let indent = indent + 3;
    if !task.hosts.is_empty() {
        writeln!(f, "{:indent$}hosts: {}", "", hosts(&task.hosts))?;
    }
    for (index, batch) in task.batches.iter().enumerate() {
        writeln!(f, "{:indent$}batch {}: {}", "", index + 1, hosts(batch))?;
    }
    for reason in &task.reasons {
        writeln!(f, "{:indent$}{reason}", "")?;
    }
    if let Some(dynamic) = &task.dynamic {
        writeln!(f, "{:indent$}not known ahead: {dynamic}", "")?;
    }
    for warning in &task.warnings {
        writeln!(f, "{:indent$}warning: {warning}", "")?;
    }
    if task.code {
        writeln!(f, "{:indent$}it is code: what it runs and executes is not known ahead", "")?;
    }
    if task.retries > 0 {
        writeln!(f, "{:indent$}where it fails, it is tried {} more", "", times(task.retries))?;
    }
    for step in &task.steps {
        let tries = step.retries.map(|retries| format!(", {} more", times(retries))).unwrap_or_default();
        let until = step.until.as_ref().map(|until| format!("{until}{tries}"));
        let conditions = [("if", &step.condition), ("until", &until)];
        let conditions = conditions.iter().filter_map(|(word, text)| Some(format!("  ({word} {})", text.as_ref()?)));
        let condition: String = conditions.collect();
        for inner in &step.executes {
            show(f, inner, "execute ", indent)?;
        }
        if step.executes.is_empty() {
            let mut lines = step.what.lines();
            writeln!(f, "{:indent$}{}: {}{condition}", "", step.verb, lines.next().unwrap_or_default())?;
            for line in lines {
                writeln!(f, "{:indent$}    {line}", "")?;
            }
        }
    }
    for health in &task.health {
        show(f, health, "health: ", indent)?;
    }
    if task.pause {
        writeln!(f, "{:indent$}pause: a person is asked after the first batch", "")?;
    }
    for rollback in &task.rollback {
        show(f, rollback, "rollback: ", indent)?;
    }
    Ok(())
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn how(task: &PlannedTask) -> String {
    let count = task.hosts.len();
    let hosts = if count == 1 { "1 host".to_owned() } else { format!("{count} hosts") };
    let mut text = match task.strategy.as_str() {
        "local" => "locally, once".to_owned(),
        "nowhere" => "nowhere".to_owned(),
        "asked" => "1 host that is asked for".to_owned(),
        "parallel" if task.pool_size < count => format!("{hosts} in parallel, {} at the same time", task.pool_size),
        "parallel" => format!("{hosts} in parallel"),
        "batches" => format!("{hosts} in {} batches", task.batches.len()),
        _ if count == 1 => hosts,
        _ => format!("{hosts}, one after another"),
    };
    if task.runs_once && count > 0 {
        text = format!("once, on {}", task.hosts[0]);
    }
    if task.dynamic.is_some() {
        _ = write!(text, ", as far as is known");
    }
    text
}

fn hosts(hosts: &[String]) -> String {
    if hosts.len() <= NAMED { hosts.join(", ") } else { fabric_core::host::fold(hosts.iter().map(String::as_str)) }
}
