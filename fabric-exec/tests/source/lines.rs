//! A task source of its own: tasks as lines of text. All that it needs of fabric-exec is public.
//!
//! `NAME HOST.. : COMMAND` is a task that runs a command, `NAME : > TASK` one that executes another.

use std::sync::Arc;

use async_trait::async_trait;
use fabric_exec::task::{Effect, Executed, KnownStep, Outline, Text};
use fabric_exec::{Collection, CollectionError, Context, Execute, Task, TaskBody, TaskError, Value};
use indexmap::IndexMap;

pub(crate) fn collection(text: &str) -> Result<Collection, CollectionError> {
    let mut collection = Collection::new();
    for line in text.lines() {
        let (left, right) = line.split_once(':').unwrap_or((line, ""));
        let mut words = left.split_whitespace();
        let body = match right.trim().strip_prefix('>') {
            Some(task) => Line::Executes(task.trim().to_owned(), IndexMap::new()),
            None => Line::Runs(right.trim().to_owned()),
        };
        let task = Task::new(words.next().unwrap_or_default(), Arc::new(body)).hosts(words);
        collection = collection.task(task)?;
    }
    Ok(collection)
}

enum Line {
    Runs(String),
    Executes(String, IndexMap<String, Value>),
}

#[async_trait]
impl TaskBody for Line {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        match self {
            Self::Runs(command) => {
                let outcome = context.connection().await?.run(command.as_str()).await?;
                Ok(outcome.stdout().trim().into())
            }
            Self::Executes(task, _) => Ok(context.execute(Execute::task(task)).await?.into_iter().collect()),
        }
    }

    fn outline(&self) -> Option<Outline<'_>> {
        let mut step;
        match self {
            Self::Runs(command) => {
                step = KnownStep::new("run", command);
                step.texts = vec![Text::Shell(command)];
            }
            Self::Executes(task, args) => {
                step = KnownStep::new("execute", task);
                step.effect = Effect::Executes(Executed::new(task, args));
            }
        }
        Some(Outline::new([step]))
    }

    fn needs_host(&self) -> bool {
        matches!(self, Self::Runs(_))
    }
}
