//! What the fabfile and each file that it includes say beside their tasks: settings and global lists.

use std::collections::HashMap;
use std::sync::Arc;

use fabric_core::Resolve;

use crate::hostlist::FabfileLists;

/// What one file says.
pub(crate) struct FileSettings {
    pub(crate) resolver: Arc<dyn Resolve>,
    /// Its `extend` and `replace` of the global lists.
    pub(crate) lists: FabfileLists,
}

/// The fabfile's, and those of the files that it includes, by namespace.
pub(crate) struct Files {
    pub(crate) fabfile: FileSettings,
    pub(crate) included: HashMap<String, FileSettings>,
}

impl Files {
    /// What the file of a namespace says, that of the fabfile being empty.
    pub(crate) fn of(&self, namespace: &str) -> &FileSettings {
        self.included.get(namespace).unwrap_or(&self.fabfile)
    }
}
