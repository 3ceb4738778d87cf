//! Tasks written in Rust: what `#[task]` makes of a function.

mod common;

use common::World;
use fabric_exec::task::Mode;
use fabric_exec::{Choice, Collection, Context, ParamKind, TaskError, task};
use serde_json::json;

/// How to roll.
#[derive(Choice, Debug, Clone, Copy, PartialEq)]
enum Colour {
    Blue,
    DarkGreen,
}

/// Roll a version out.
///
/// All of it.
#[task(hosts = ["h1", "h2"], roles = [], parallel, pool_size = 5, batch = "50%", aliases = ["d"], pre = ["note:hello"], default)]
async fn deploy(
    context: Context,
    /// Which one.
    version: String,
    colour: Colour,
    #[arg(default = 3, short = 'n')] count: u32,
    force: bool,
    only: Vec<String>,
    port: Option<u16>,
) -> Result<String, TaskError> {
    let line = format!("deploy {version} {colour:?} {count} {force} {only:?} {port:?}");
    context.connection().await?.run(line.as_str()).await?;
    Ok(line)
}

#[task(runs_once)]
#[allow(clippy::needless_pass_by_value)]
fn note(text: String) {
    assert!(!text.is_empty());
}

fn collection() -> Collection {
    Collection::new().task(deploy::task()).unwrap().task(note::task()).unwrap()
}

#[test]
fn a_function_says_what_its_task_is() {
    let task = deploy::task();
    assert_eq!((task.name.as_str(), task.summary()), ("deploy", Some("Roll a version out.")));
    assert_eq!((task.mode, task.pool_size, task.default), (Some(Mode::Parallel), Some(5), true));
    assert_eq!(task.own.hosts, ["h1", "h2"]);
    let kinds: Vec<_> =
        task.params.iter().map(|param| (param.name.as_str(), param.kind.clone(), param.default.clone())).collect();
    let words = ParamKind::Choice(vec!["blue".into(), "dark-green".into()]);
    assert_eq!(kinds[0], ("version", ParamKind::Text, None));
    assert_eq!(kinds[1], ("colour", words, None));
    assert_eq!(kinds[2], ("count", ParamKind::Integer, Some(json!(3))));
    assert_eq!(kinds[3], ("force", ParamKind::Bool, Some(json!(false))));
    assert_eq!(kinds[4], ("only", ParamKind::List, Some(json!([]))));
    assert_eq!(kinds[5], ("port", ParamKind::Integer, Some(json!(null))));
    assert_eq!(task.params[0].help.as_deref(), Some("Which one."));
    assert_eq!(task.params[2].short, Some('n'));
    assert!(note::task().runs_once);
}

#[tokio::test]
async fn arguments_arrive_typed() {
    let world = World::new();
    let report = world.go(collection(), &["d:1.0,dark-green,only=a;b,port=80"]).await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    let line = "deploy 1.0 DarkGreen 3 false [\"a\", \"b\"] Some(80)";
    assert_eq!(world.commands("h2"), [line]);
    assert_eq!(report.tasks[1].results[0].value, line);
    assert_eq!(report.tasks[0].task, "note");
}

#[tokio::test]
async fn arguments_that_do_not_fit_run_nothing() {
    let world = World::new();
    let error = world.run(collection()).start(common::calls(&["d:1.0,red,port=x"])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "task `d`: argument `colour` must be one of blue, dark-green; \
         argument `port` must be a whole number"
    );
}

/// A task that is a value with state of its own, as Fabric 1's classes are.
struct Counter(std::sync::atomic::AtomicUsize);

#[async_trait::async_trait]
impl fabric_exec::TaskBody for Counter {
    async fn call(&self, _: Context) -> Result<fabric_exec::Value, TaskError> {
        Ok(self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst).into())
    }
}

#[tokio::test]
async fn a_body_may_be_a_value_with_state() {
    let counter = fabric_exec::Task::new("count", std::sync::Arc::new(Counter(5.into()))).hosts(["a", "b"]);
    let world = World::new();
    let report = world.go(Collection::new().task(counter).unwrap(), &["count", "count:host=c"]).await;
    let values = report.tasks.iter().flat_map(|task| &task.results).map(|result| result.value.to_string());
    assert_eq!(values.collect::<Vec<_>>(), ["5", "6", "7"]);
}
