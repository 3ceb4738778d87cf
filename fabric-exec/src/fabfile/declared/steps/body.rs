//! Steps as the body of a task.

use std::any::Any;

use async_trait::async_trait;
use fabric_core::Value;

use super::outline::outline;
use super::work::Work;
use super::{Step, Verb};
use crate::task::{Context, Outline, Task, TaskBody, TaskError};

/// A body that is a list of steps.
#[derive(Debug, Clone, Default)]
pub struct Steps(Vec<Step>);

impl Steps {
    /// Of these steps.
    pub fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The steps of a task, if it is made of any.
    pub fn of(task: &Task) -> Option<&[Step]> {
        let body: &dyn Any = &*task.body;
        body.downcast_ref::<Self>().map(|steps| steps.0.as_slice())
    }
}

#[async_trait]
impl TaskBody for Steps {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        let mut work = Work::new(context);
        for step in &self.0 {
            work.step(step).await?;
        }
        Ok(work.into_value())
    }

    fn outline(&self) -> Option<Outline<'_>> {
        Some(Outline::new(self.0.iter().map(outline)))
    }

    /// What a condition, another task or a list that is set may change isn't known ahead.
    fn needs_host(&self) -> bool {
        let known = |step: &&Step| !matches!(step.verb, Verb::Execute(_) | Verb::Set(_));
        self.0.iter().take_while(known).any(|step| step.condition.is_none() && step.verb.is_remote())
    }

    fn moves_files(&self) -> bool {
        self.0.iter().any(|step| matches!(step.verb, Verb::Put(_) | Verb::Get(_)))
    }
}
