//! Which module of a crate uses which, as its source files say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::files_below;

/// The modules of a crate, one per file except `lib.rs`, `main.rs`, `prelude.rs` and tests, and the modules that each uses. What a
/// parent declares (`mod`) or re-exports (`pub use`) doesn't count as used.
#[derive(Debug, Default)]
pub struct Modules {
    /// For each module, such as `run::dispatch`, the modules that it uses.
    pub uses: BTreeMap<String, BTreeSet<String>>,
}

/// A path in a source file, split at `::`.
type Names = Vec<String>;

/// The code of each module, without comments and tests, and its re-exports by name.
struct Source {
    code: BTreeMap<Names, String>,
    exports: BTreeMap<(Names, String), Names>,
}

impl Modules {
    /// Reads the crate whose `lib.rs` is in `src`.
    pub fn of(src: &Path) -> Self {
        let mut source = Source { code: BTreeMap::new(), exports: BTreeMap::new() };
        for file in files_below(src, &["rs"]) {
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let below = file.strip_prefix(src).expect("it was found there").with_extension("");
            let mut names: Names = below.iter().map(|name| name.to_str().expect("UTF-8").to_owned()).collect();
            if names.iter().any(|name| name == "tests") || ["main", "prelude"].contains(&&*names[0]) {
                continue;
            }
            names.pop_if(|name| name == "mod" || name == "lib");
            source.code.insert(names, code(&text));
        }
        for (module, code) in &source.code {
            for (_, path) in uses(code).into_iter().filter(|(exported, _)| *exported) {
                let (path, name) =
                    path.split_once(" as ").unwrap_or((&path, path.rsplit("::").next().unwrap_or_default()));
                let path: Names = path.split("::").map(str::to_owned).collect();
                if let Some(absolute) = source.absolute(module, &path) {
                    source.exports.insert((module.clone(), name.to_owned()), absolute);
                }
            }
        }
        let mut uses_of = BTreeMap::new();
        for (module, code) in source.code.iter().filter(|(module, _)| !module.is_empty()) {
            let imports = uses(code).into_iter().filter(|(exported, _)| !exported).map(|(_, path)| path);
            let paths = imports.chain(named(code));
            let paths = paths.map(|path| path.split(" as ").next().unwrap_or_default().to_owned());
            let paths = paths.map(|path| path.split("::").map(str::to_owned).collect::<Names>());
            let found = paths.filter_map(|path| source.module_of(&source.absolute(module, &path)?, 6));
            let found = found.filter(|other| !other.is_empty() && other != module).map(|other| other.join("::"));
            uses_of.insert(module.join("::"), found.collect());
        }
        Self { uses: uses_of }
    }

    /// The circles of more than two files.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let mut found = circles(&self.uses);
        found.retain(|circle| circle.len() > 2);
        found
    }

    /// The circles between modules of one folder, each with all modules below it. Pairs of two files are left out.
    pub fn circles_of_folders(&self) -> Vec<Vec<String>> {
        let mut siblings: BTreeMap<Vec<&str>, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (module, others) in &self.uses {
            let module: Vec<&str> = module.split("::").collect();
            for other in others {
                let other: Vec<&str> = other.split("::").collect();
                let same = module.iter().zip(&other).take_while(|(one, other)| one == other).count();
                if same < module.len() && same < other.len() {
                    let graph = siblings.entry(module[..same].to_vec()).or_default();
                    graph.entry(module[..=same].join("::")).or_default().insert(other[..=same].join("::"));
                }
            }
        }
        let has_more = |name: &String| self.uses.keys().any(|module| module.starts_with(&format!("{name}::")));
        let found = siblings.values().flat_map(circles);
        found.filter(|circle| circle.len() > 2 || circle.iter().any(has_more)).collect()
    }
}

impl Source {
    /// The absolute path of a path in this module; `None` if it leads out of the crate.
    fn absolute(&self, module: &Names, path: &Names) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|name| *name == "super").count();
                Some([&module[..module.len().checked_sub(ups)?], &path[ups..]].concat())
            }
            _ => {
                let child = [module.as_slice(), &path[..1]].concat();
                self.code.contains_key(&child).then(|| [module.as_slice(), path].concat())
            }
        }
    }

    /// The module in which a path's item is defined, followed through up to `depth` re-exports.
    fn module_of(&self, path: &Names, depth: usize) -> Option<Names> {
        let length = (0..=path.len()).rev().find(|length| self.code.contains_key(&path[..*length]))?;
        let (module, rest) = (path[..length].to_vec(), &path[length..]);
        let exported = rest.first().and_then(|name| self.exports.get(&(module.clone(), name.clone())));
        match exported.filter(|_| depth > 0) {
            Some(target) => self.module_of(&[target.as_slice(), &rest[1..]].concat(), depth - 1),
            None => Some(module),
        }
    }
}

/// The part of a file that is no comment and no test.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let text = text.split("\n#[cfg(test)]\npub(").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths of the `use` lines, and whether each is a re-export.
fn uses(code: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    for (place, _) in code.match_indices("use ") {
        let before = &code[..place];
        if before.ends_with(|c: char| is_word(c) || c == '"') {
            continue;
        }
        let Some((tree, _)) = code[place + 4..].split_once(';') else { continue };
        let line = before.rsplit('\n').next().unwrap_or_default().trim();
        let mut paths = Vec::new();
        expand("", tree, &mut paths);
        found.extend(paths.into_iter().map(|path| (line.starts_with("pub"), path)));
    }
    found
}

/// Adds the paths of a `use` tree.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, list)) = tree.split_once('{') else {
        paths.push(format!("{prefix}{tree}"));
        return;
    };
    let (list, _) = list.rsplit_once('}').unwrap_or((list, ""));
    let (mut depth, mut start) = (0, 0);
    let prefix = format!("{prefix}{}", head.trim());
    for (place, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !list[start..place].trim().is_empty() {
                    expand(&prefix, &list[start..place], paths);
                }
                start = (place + 1).min(list.len());
            }
            _ => {}
        }
    }
}

/// Paths outside of imports that begin with `crate`, `super` or `self`.
fn named(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (place, _) in code.match_indices(start) {
            if !code[..place].ends_with(|c: char| is_word(c) || c == ':' || c == '$') {
                let path = code[place..].split(|c: char| !is_word(c) && c != ':').next().unwrap_or_default();
                found.push(path.trim_end_matches(':').to_owned());
            }
        }
    }
    found
}

/// The strongly connected components of more than one node (Tarjan's algorithm).
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    struct Walk<'a> {
        graph: &'a BTreeMap<String, BTreeSet<String>>,
        /// For each node its number, and the lowest number reachable from it.
        seen: BTreeMap<&'a str, (usize, usize)>,
        open: Vec<&'a str>,
        found: Vec<Vec<String>>,
    }
    impl<'a> Walk<'a> {
        fn visit(&mut self, node: &'a str) -> usize {
            let number = self.seen.len();
            self.seen.insert(node, (number, number));
            self.open.push(node);
            let mut low = number;
            for next in self.graph.get(node).into_iter().flatten() {
                low = low.min(match self.seen.get(next.as_str()) {
                    None => self.visit(next),
                    Some((met, _)) if self.open.contains(&next.as_str()) => *met,
                    Some(_) => continue,
                });
            }
            self.seen.insert(node, (number, low));
            if low == number {
                let from = self.open.iter().position(|open| *open == node).expect("it is open");
                let mut circle: Vec<String> = self.open.split_off(from).into_iter().map(str::to_owned).collect();
                circle.sort();
                if circle.len() > 1 {
                    self.found.push(circle);
                }
            }
            low
        }
    }
    let mut walk = Walk { graph, seen: BTreeMap::new(), open: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !walk.seen.contains_key(node.as_str()) {
            walk.visit(node);
        }
    }
    walk.found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_found_through_re_exports() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        };
        write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::Inner;\n");
        write("a.rs", "use crate::{b::{Inner as I, other}, Inner};\n// crate::c::no\nfn f(_: super::c::C) {}\n");
        write("b/mod.rs", "mod inner;\nmod other;\npub use inner::Inner;\nuse other::f;\n");
        write("b/inner.rs", "use super::other::f;\n#[cfg(test)]\nmod tests { use crate::a::f; }\n");
        write("b/other.rs", "use super::inner::Inner;\n");
        write("c.rs", "use crate::a::f;\n\nfn g() { let reuse = 1; }\n");
        let modules = Modules::of(dir.path());
        let of = |name: &str| modules.uses[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("a"), ["b::inner", "b::other", "c"]);
        assert_eq!((of("b"), of("b::inner"), of("c")), (vec!["b::other"], vec!["b::other"], vec!["a"]));
        // Pairs are allowed, unless there is a folder in one.
        assert!(modules.circles().is_empty() && modules.circles_of_folders().is_empty());
        write("b/other.rs", "use crate::a::f;\n");
        let modules = Modules::of(dir.path());
        assert_eq!(modules.circles(), [["a", "b::inner", "b::other", "c"].map(str::to_owned)]);
        assert_eq!(modules.circles_of_folders(), [["a", "b", "c"].map(str::to_owned)]);
    }
}
