//! Executing a call of a task by the rules of `docs/execution.md`: `pre`, its host list, the task on it, `post`.

use std::pin::Pin;
use std::sync::Arc;

use fabric_core::settings::Problem;

use super::connections::descriptors;
use super::dispatch::Dispatcher;
use super::once::Claim;
use super::scope::path_around;
use super::state::RunState;
use crate::hostlist::{Emptied, HostList, Level, Listed};
use crate::plan::{GuardKind, Inside, Job, Outcome, RunError, Strategy, with_before};
use crate::task::{Context, Invocation, task_layers};

/// How deep executions may be nested.
const DEEPEST: usize = 50;

/// Executes a job, `pre` and `post` included, inside `parent`'s run if there is one.
pub(crate) fn execute(
    run: Arc<RunState>,
    job: Job,
    parent: Option<Context>,
) -> Pin<Box<dyn Future<Output = Result<Outcome, RunError>> + Send>> {
    Box::pin(async move {
        tracing::trace!(route = "a task, with its host list and strategy");
        let parent = parent.as_ref();
        let path = path_around(&job, parent);
        let is_inside_itself = path.contains(&job.task.id());
        // A dry run cannot know when a task that executes itself comes to its end.
        if is_inside_itself && parent.is_some_and(|parent| parent.emitter().condition().is_some()) {
            return Ok(Outcome::default());
        }
        if (is_inside_itself && job.task.runs_once) || path.len() >= DEEPEST {
            return Err(RunError::Endless(job.name.to_string()));
        }
        // Needed by what it is made of: it is under way.
        if is_inside_itself && job.around.is_some() {
            return Ok(Outcome::default());
        }
        if job.has_around()
            && let Some(list) = run.lists.emptied_ahead(&job, inside(&run, parent)?).await?
        {
            run.warn_of(&list, &job);
            return Ok(Outcome { emptied: list.emptied != Some(Emptied::Share), ..Outcome::default() });
        }
        let mut before = around(&run, &job.task.pre, &job, parent).await?;
        // Failures are allowed for the hosts behind them, not for a task that needs this one.
        if before.halt || !before.reasons.is_empty() {
            (before.halt, before.settled, before.not_begun) = (true, true, true);
            return Ok(before);
        }
        let Some(list) = list_now(&run, &job, parent).await? else { return Ok(Outcome::default()) };
        let owner = match job.around.as_ref().map(|_| run.around.claim(job.same_call(&list))) {
            Some(Claim::Theirs(receiver)) => {
                return tokio::select! {
                    outcome = run.around.wait(receiver) => outcome,
                    () = run.inputs.means.interrupt.stopping() => Ok(Outcome { halt: true, ..Outcome::default() }),
                };
            }
            Some(Claim::Mine(owner)) => Some(owner),
            None => None,
        };
        let ended = on_its_hosts(&run, &job, list, parent).await;
        if let Some(owner) = owner {
            owner.finish(ended.clone());
        }
        ended
    })
}

/// The task on its hosts, and what comes after it.
async fn on_its_hosts(
    run: &Arc<RunState>,
    job: &Job,
    list: HostList,
    parent: Option<&Context>,
) -> Result<Outcome, RunError> {
    let is_done = list.emptied.is_none();
    let mut outcome = alone(run, job, list, parent).await?;
    if is_done && !outcome.halt {
        let after = around(run, &job.task.post, job, parent).await?;
        outcome.reasons.extend(after.reasons);
        outcome.halt |= after.halt;
        outcome.usage = outcome.usage.or(after.usage);
    }
    Ok(outcome)
}

/// Runs calls of `pre` or `post` of a job: each once a run on its hosts, whoever needs it. Others wait for it, and it has
/// failed for them too if it has.
async fn around(
    run: &Arc<RunState>,
    calls: &[Invocation],
    of: &Job,
    parent: Option<&Context>,
) -> Result<Outcome, RunError> {
    let is_check = of.is(GuardKind::Health) || parent.is_some_and(|parent| parent.scope().is_check);
    let mut all = Outcome::default();
    for call in calls {
        let job = Job { around: Some(run.inputs.shown(call)), guard: of.guard.clone(), ..run.inputs.job(call)? };
        let outcome = execute(run.clone(), job, parent.cloned()).await?;
        // It may have been done before, where its failure was to be a warning.
        let softened = outcome.any_failure().filter(|_| is_check && outcome.reasons.is_empty());
        all.reasons.extend(outcome.reasons.into_iter().chain(softened));
        all.usage = all.usage.or(outcome.usage);
        if outcome.halt {
            all.halt = true;
            break;
        }
    }
    Ok(all)
}

/// Where a job is executed.
fn inside<'a>(run: &'a RunState, parent: Option<&'a Context>) -> Result<Inside<'a>, RunError> {
    match parent {
        Some(parent) => Inside::of(&run.lists, parent),
        None => Ok(Inside::nothing(&run.env)),
    }
}

/// The host list of a job as it is now; a person is asked where there is none and the task needs one. A dry run says that,
/// and yields none.
async fn list_now(run: &Arc<RunState>, job: &Job, parent: Option<&Context>) -> Result<Option<HostList>, RunError> {
    let mut list = run.lists.list_of(job, inside(run, parent)?).await?;
    if let (true, Some(key)) = (list.is_local(), job.task.rolling.first()) {
        let problem = Problem::new(format!("`{key}` of task `{}`: it runs without a host, once, locally", job.name));
        let problem = problem.hint("give it hosts or roles, or -H or -R");
        return Err(RunError::Fabfile(problem.at(job.task.origin.clone()).into()));
    }
    if list.is_local() && job.task.body.needs_host() {
        if run.inputs.means.dry_run {
            let emitter = run.inputs.emitter.for_task(job.name.clone());
            emitter.plan("prompt", "a host to run on: none is given");
            return Ok(None);
        }
        let host = run.lists.ask_for_host().await;
        list.asked(host.map_err(|error| RunError::NoHost { task: job.name.to_string(), error })?);
    }
    Ok(Some(list))
}

async fn alone(
    run: &Arc<RunState>,
    job: &Job,
    mut list: HostList,
    parent: Option<&Context>,
) -> Result<Outcome, RunError> {
    run.warn_of(&list, job);
    if let (Some(outer), None, false) = (parent, &job.guard, list.level == Level::Current || list.is_local()) {
        let hosts = outer.all_hosts().len();
        if hosts > 1 && !outer.task().runs_once {
            run.warn_multiplying(&job.name, outer.task_name(), hosts);
        }
    }
    let outer = parent.map(Context::as_outer);
    let key = run.inputs.key(job, &list, outer, parent.map_or(&run.turns, Context::turns));
    let all = run.inputs.earlier.as_ref().map(|_| list.names().map(str::to_owned).collect::<Vec<_>>());
    let all = all.unwrap_or_default();
    let env = parent.map_or(&run.env, Context::env);
    let before = run.inputs.leave_done(key.as_deref(), &job.task, parent.is_some(), &mut list, env);
    if let Some(why) = list.emptied {
        let emptied = !matches!(why, Emptied::Share | Emptied::Done);
        return Ok(with_before(Outcome { emptied, ..Outcome::default() }, &all, before));
    }
    let around = parent.map(Context::passed_on).unwrap_or_default();
    let settings = run.inputs.task_settings(&job.task, &around, env)?;
    let mut strategy = Strategy::of(job, &settings, list.hosts.len())?;
    let each = || {
        let resolver = &run.inputs.files.of(&job.task.namespace).resolver;
        let of_task = task_layers(&job.task, &around, env);
        let layers = |listed: &Listed| -> Vec<_> { listed.settings.iter().chain(&of_task).cloned().collect() };
        let targets = list.hosts.iter().filter_map(|it| resolver.target(&it.host, &layers(it)).ok());
        targets.map(|target| descriptors(&target)).max().unwrap_or(1)
    };
    if let Some(most) = run.connections.hosts_at_once(strategy.window, each) {
        let window = std::mem::replace(&mut strategy.window, most);
        let hosts = if most == 1 { "host" } else { "hosts" };
        run.inputs.emitter.for_task(job.name.clone()).warn(format!(
            "{most} {hosts} at the same time, not {window}: the limit on open files allows no more (`ulimit -n`)"
        ));
    }
    let outcome = Dispatcher::new(run, job, list, strategy, parent, key).run(&settings).await?;
    Ok(with_before(outcome, &all, before))
}
