//! Steps as the body of a task.

use std::any::Any;

use async_trait::async_trait;
use fabric_core::Value;

use super::step::Step;
use super::work::Work;
use crate::task::{Context, KnownStep, Outline, Task, TaskBody, TaskError};

/// A body that is a list of steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps(Vec<Step>);

impl Steps {
    /// Of these steps.
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// The steps of a task, if it is made of any.
    pub(crate) fn of(task: &Task) -> Option<&[Step]> {
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
        Some(Outline::new(self.0.iter().map(Step::outline)))
    }

    /// What a condition, another task or a list that is set may change isn't known ahead.
    fn needs_host(&self) -> bool {
        let mut known = self.0.iter().map_while(|step| Some((step, step.verb.needs_host()?)));
        known.any(|(step, needs_host)| step.condition.is_none() && needs_host)
    }

    fn moves_files(&self) -> bool {
        self.0.iter().any(|step| step.verb.moves_files())
    }
}

impl Step {
    /// What is known of it before it runs.
    fn outline(&self) -> KnownStep<'_> {
        let work = &self.verb;
        let mut known = KnownStep::new(work.name(), work.what());
        known.at = &self.at;
        known.condition = self.condition.as_deref();
        known.save = self.save.as_deref();
        known.is_tolerant = self.warn_only == Some(true);
        known.places = Some(&self.places);
        work.outline(&mut known);
        known
    }
}
