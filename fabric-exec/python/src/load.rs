//! Loading a fabfile.

use std::sync::Arc;

use crate::listing::Listing;
use crate::program::{LoadError, Loading, Program};

/// Starts the interpreter, and loads the fabfile.
///
/// # Errors
///
/// Something is wrong with either.
pub fn load(loading: &Loading<'_>) -> Result<(Arc<Program>, Listing), LoadError> {
    let (program, answer) = Program::start(loading)?;
    let listing = Listing::read(&answer, &program).map_err(LoadError::Broken)?;
    Ok((program, listing))
}
