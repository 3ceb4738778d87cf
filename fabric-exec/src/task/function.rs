//! Tasks that are Rust functions.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use fabric_core::Value;
use serde::Serialize;

use super::context::Context;
use super::definition::{Task, TaskBody};
use super::error::TaskError;

type Call = dyn Fn(Context) -> Pin<Box<dyn Future<Output = Result<Value, TaskError>> + Send>> + Send + Sync;

/// A body that is an async function.
pub struct FnBody(Box<Call>);

impl FnBody {
    /// Of this function.
    pub fn new<F, Fut, T>(function: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
        T: Serialize,
    {
        Self(Box::new(move |context| {
            let future = function(context);
            Box::pin(async move {
                let value = future.await?;
                serde_json::to_value(value).map_err(|error| TaskError::Other(Box::new(error)))
            })
        }))
    }
}

impl fmt::Debug for FnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnBody")
    }
}

#[async_trait]
impl TaskBody for FnBody {
    async fn call(&self, context: Context) -> Result<Value, TaskError> {
        (self.0)(context).await
    }
}

impl Task {
    /// A task whose body is an async function.
    pub fn from_fn<F, Fut, T>(name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
        T: Serialize,
    {
        Self::new(name, Arc::new(FnBody::new(function)))
    }
}
