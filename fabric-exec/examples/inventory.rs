//! Shows an inventory as it is read: the hosts of each group in order, and the settings of each host, as JSON.
//!
//! ```sh
//! cargo run -p fabric-exec --example inventory -- hosts.ini
//! ```

use std::path::Path;
use std::process::ExitCode;

use fabric_exec::hostlist::{Inventory, InventoryError};
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: inventory FILE");
        return ExitCode::from(2);
    };
    match shown(Path::new(&path)) {
        Ok(shown) => {
            println!("{shown:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn shown(path: &Path) -> Result<Value, InventoryError> {
    let inventory = Inventory::open(path)?;
    let (mut groups, mut hosts, mut warnings) = (Map::new(), Map::new(), Vec::new());
    let mut names = inventory.groups();
    if names.is_empty() {
        names.push("all");
    }
    for group in names {
        let members = inventory.group(group)?;
        let names = members.hosts.iter().map(|listed| listed.host.as_str());
        groups.insert(group.to_owned(), names.collect());
        for listed in &members.hosts {
            let settings = listed.settings.iter().flat_map(|settings| settings.values.iter());
            let settings: Map<String, Value> = settings.map(|(name, value)| (name.clone(), value.clone())).collect();
            hosts.insert(listed.host.as_str().to_owned(), settings.into());
        }
        if group == "all" {
            warnings = members.warnings;
        }
    }
    Ok(json!({"groups": groups, "hosts": hosts, "warnings": warnings}))
}
