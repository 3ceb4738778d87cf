//! `put` and `get`.

use fabric_core::Value;

use super::work::Work;
use super::{Step, TransferStep};
use crate::task::TaskError;

impl Work {
    pub(super) async fn put(&mut self, _step: &Step, _transfer: &TransferStep) -> Result<Value, TaskError> {
        Err(TaskError::abort("put"))
    }

    pub(super) async fn get(&mut self, _step: &Step, _transfer: &TransferStep) -> Result<Value, TaskError> {
        Err(TaskError::abort("get"))
    }
}
