//! The `[hosts."pattern"]` sections: settings for the hosts whose host part, as written, matches.

use fabric_core::host::{expand, split_list};
use fabric_core::settings::{Origin, Problem};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::values::LayerValues;

/// The sections in file order, with their patterns compiled together.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    pub(crate) list: Vec<Section>,
    positive: GlobSet,
    negative: GlobSet,
    /// The section of each glob.
    positive_of: Vec<usize>,
    negative_of: Vec<usize>,
}

/// One section.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) pattern: String,
    pub(crate) origin: Origin,
    pub(crate) values: LayerValues,
}

impl Sections {
    /// Compiles the patterns. One is a list of globs (`*`, `?`, `[..]`), ranges (`web[01-20]`) and braces,
    /// separated by commas; `!` before one excepts what it matches.
    pub(crate) fn new(sections: Vec<Section>) -> Result<Self, Vec<Problem>> {
        let (mut positive, mut negative) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut positive_of, mut negative_of) = (Vec::new(), Vec::new());
        let mut problems = Vec::new();
        for (index, section) in sections.iter().enumerate() {
            for item in split_list(&section.pattern) {
                let (set, of, item) = match item.strip_prefix('!') {
                    Some(rest) => (&mut negative, &mut negative_of, rest),
                    None => (&mut positive, &mut positive_of, item),
                };
                for glob in globs(item) {
                    match GlobBuilder::new(&glob).backslash_escape(true).build() {
                        Ok(glob) => {
                            set.add(glob);
                            of.push(index);
                        }
                        Err(error) => {
                            let problem = Problem::new(format!("bad host pattern `{item}`: {}", error.kind()));
                            problems.push(problem.at(section.origin.clone()));
                        }
                    }
                }
            }
        }
        let compiled = positive.build().and_then(|positive| Ok((positive, negative.build()?)));
        match compiled {
            Ok((positive, negative)) if problems.is_empty() => {
                Ok(Self { list: sections, positive, negative, positive_of, negative_of })
            }
            Ok(_) => Err(problems),
            Err(error) => Err(vec![Problem::new(format!("host patterns are too large: {error}"))]),
        }
    }

    /// The sections that match a host part, in file order.
    pub(crate) fn matching(&self, host: &str) -> Vec<usize> {
        if self.list.is_empty() {
            return Vec::new();
        }
        let of = |set: &GlobSet, of: &[usize]| -> Vec<usize> {
            set.matches(host).into_iter().map(|glob| of[glob]).collect()
        };
        let but = of(&self.negative, &self.negative_of);
        let mut found = of(&self.positive, &self.positive_of);
        found.retain(|index| !but.contains(index));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A pattern with its ranges and braces written out. Brackets that aren't a range are left to the glob: `[a-c]`.
fn globs(item: &str) -> Vec<String> {
    let address = item.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')).unwrap_or(item);
    if address.parse::<std::net::Ipv6Addr>().is_ok() {
        return vec![address.to_owned()];
    }
    expand(item).unwrap_or_else(|_| vec![item.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric_core::settings::Layer;

    fn sections(patterns: &[&str]) -> Result<Sections, Vec<Problem>> {
        let values = LayerValues { layer: Layer::Host, values: indexmap::IndexMap::new() };
        let section = |pattern: &&str| Section {
            pattern: (*pattern).to_owned(),
            origin: Origin::new(Layer::Host),
            values: values.clone(),
        };
        Sections::new(patterns.iter().map(section).collect())
    }

    #[test]
    fn patterns_match_the_host_part() {
        let all =
            sections(&["*.prod.example.com", "web[01-12]", "db?,!db9", "web1", "{a,b}[x-z]", "[2001:db8::1]", "*"])
                .unwrap();
        let cases: &[(&str, &[usize])] = &[
            ("a.b.prod.example.com", &[0, 6]),
            ("prod.example.com", &[6]),
            ("web07", &[1, 6]),
            ("web1", &[3, 6]),
            ("db1", &[2, 6]),
            ("db9", &[6]),
            ("ay", &[4, 6]),
            ("2001:db8::1", &[5, 6]),
        ];
        for (host, want) in cases {
            assert_eq!(all.matching(host), *want, "{host}");
        }
        assert!(sections(&["[z"]).is_err());
    }
}
