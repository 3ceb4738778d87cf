//! Trying a run again: the keys by which its executions are found in the journal, and what of them is done already.

use std::sync::Arc;

use fabric_core::settings::is_secret_name;
use fabric_core::{HostStatus, Value};

use super::inputs::Inputs;
use super::job::{Job, Outcome};
use crate::hostlist::{Emptied, HostList, Level};
use crate::journal::DoneHost;
use crate::report::HostResult;
use crate::task::{Args, Env, In, Task, Turns};

/// What was done of an execution, in the order of its host list.
pub(crate) type Before = Vec<(String, HostResult)>;

impl Inputs {
    /// The key of a job on its host list, the same when the same command line is run again; `None` for health checks and
    /// rollbacks, which belong to what is done now.
    pub(crate) fn key(&self, job: &Job, list: &HostList, outer: Option<In<'_>>, turns: &Turns) -> Option<Arc<str>> {
        if job.guard.is_some() {
            return None;
        }
        let mut call = job.name.to_string();
        if !job.args.is_empty() {
            let shown = |(name, value): (&String, &Value)| {
                (name.clone(), if is_secret_name(name) { Value::from("***") } else { value.clone() })
            };
            let args: Args = job.args.iter().map(shown).collect();
            call = self.means.secrets.hidden(format!("{call}{}", serde_json::json!(args)));
        }
        // Once a run, whoever asks first; `pre` and `post` once for each list of hosts.
        if job.task.runs_once {
            return Some(format!("{call} (once)").into());
        }
        if job.around.is_some() {
            return Some(format!("{call} (once on {})", fabric_core::host::fold(list.names())).into());
        }
        let turn = turns.next(&call);
        if turn > 1 {
            call = format!("{call}#{turn}");
        }
        match outer {
            None => Some(call.into()),
            Some(In { key, host }) => Some(format!("{}@{} > {call}", key?, host.unwrap_or_default()).into()),
        }
    }

    /// Takes out of a list what the run that is tried again has done, and yields it.
    ///
    /// Hosts on which the task was ok are done, and so is a task that runs once; what it set holds again in `env`. So is a
    /// local task that set nothing. But not a task that set what is not known, nor `inside` another task where what it
    /// returned isn't known.
    pub(crate) fn leave_done(
        &self,
        key: Option<&str>,
        task: &Task,
        inside: bool,
        list: &mut HostList,
        env: &Env,
    ) -> Before {
        let Some(done) = self.earlier.as_ref().and_then(|earlier| earlier.done.get(key?)) else { return Vec::new() };
        if !done.can_be_left() {
            return Vec::new();
        }
        if let Some(values) = &done.values {
            env.restore(values);
        }
        let is_ok = |done: &DoneHost| done.status == HostStatus::Ok && (!inside || done.value.is_some());
        let whole = if task.runs_once {
            done.hosts.values().find(|done| is_ok(done))
        } else {
            done.hosts.get("").filter(|host| list.is_local() && done.finished && !done.sets && is_ok(host))
        };
        let before = |host: &str, done: &DoneHost| (host.to_owned(), result(host, done));
        if let Some(whole) = whole {
            let names: Vec<String> = list.names().map(str::to_owned).collect();
            let names = if names.is_empty() { vec![String::new()] } else { names };
            list.leave_all("done in the run that is tried again");
            return names.iter().map(|host| before(host, whole)).collect();
        }
        if task.runs_once || list.is_local() {
            return Vec::new();
        }
        let ok = |host: &str| done.hosts.get(host).filter(|done| is_ok(done));
        let left: Before = list.names().filter_map(|host| Some(before(host, ok(host)?))).collect();
        list.leave("ok in the run that is tried again", Emptied::Done, |host| ok(host).is_none());
        if list.level != Level::Asked {
            list.leave("not in the run that is tried again", Emptied::Done, |host| done.hosts.contains_key(host));
        }
        left
    }
}

fn result(host: &str, done: &DoneHost) -> HostResult {
    let value = done.value.clone().unwrap_or_default();
    HostResult { value, ..HostResult::new((!host.is_empty()).then(|| host.to_owned()), HostStatus::Ok) }
}

/// The outcome with what was done before among its results, in the order of the whole list.
pub(crate) fn with_before(mut outcome: Outcome, names: &[String], before: Before) -> Outcome {
    if before.is_empty() {
        return outcome;
    }
    let place = |result: &HostResult| names.iter().position(|name| Some(name) == result.host.as_ref());
    outcome.results.extend(before.into_iter().map(|(_, result)| result));
    outcome.results.sort_by_key(place);
    outcome
}
