//! Groups of many tasks, which are shown as one line.

use std::collections::{BTreeMap, BTreeSet};

use crate::output;

/// Tasks of one group that are shown one by one.
const MOST: usize = 20;

/// Names that a line about many shows.
const NAMES: usize = 6;

/// Whether so many tasks of one group are shown as one.
pub(crate) fn are_many(count: usize) -> bool {
    count > MOST
}

/// The groups whose tasks are not shown one by one.
#[derive(Debug, Default)]
pub(crate) struct Fold(BTreeSet<String>);

impl Fold {
    /// The groups that hold more of these tasks than people want to read about.
    pub(crate) fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for (group, _) in paths.into_iter().filter_map(|path| path.rsplit_once('.')) {
            *count.entry(group).or_default() += 1;
        }
        Self(count.into_iter().filter(|(_, count)| are_many(*count)).map(|(group, _)| group.to_owned()).collect())
    }

    /// The group that is shown in the place of a task, if one is.
    pub(crate) fn group<'a>(&self, path: &'a str) -> Option<&'a str> {
        let (group, _) = path.rsplit_once('.')?;
        self.0.contains(group).then_some(group)
    }

    /// Names with those of a folded group as one, in the order of their first appearance.
    pub(crate) fn names(&self, paths: &[String]) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let name = |path: &String| self.group(path).map_or_else(|| path.clone(), |group| format!("{group}.*"));
        paths.iter().map(name).filter(|name| seen.insert(name.clone())).collect()
    }
}

/// Names on a line that stays readable; `--json` has all of them.
pub(crate) fn shortened(names: &[String]) -> String {
    match names.split_at_checked(NAMES) {
        Some((first, rest)) if rest.len() > 1 => format!("{} and {} more", first.join(", "), output::count(rest.len())),
        _ => names.join(", "),
    }
}

/// The first of many lines, and how many more there are.
pub(crate) fn first_lines(lines: Vec<String>, what: &str) -> Vec<String> {
    let all = lines.len();
    let mut lines = lines;
    lines.truncate(MOST);
    if are_many(all) {
        lines.push(format!("and {} more {what}: --json has all of them", output::count(all - MOST)));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_many_tasks_is_one_name_and_others_keep_theirs() {
        let tables: Vec<String> = (0..21).map(|number| format!("g.raw.t{number}")).collect();
        let few = ["g.a".to_owned(), "b".to_owned()];
        let all: Vec<String> = tables.iter().chain(&few).cloned().collect();
        let fold = Fold::of(all.iter().map(String::as_str));
        assert_eq!(fold.names(&all), ["g.raw.*", "g.a", "b"]);
        assert_eq!((fold.group("g.raw.t3"), fold.group("g.a"), fold.group("b")), (Some("g.raw"), None, None));
        assert_eq!(Fold::of(tables[..20].iter().map(String::as_str)).names(&tables).len(), 21);
    }

    #[test]
    fn many_lines_end_with_how_many_more_there_are() {
        let lines = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(first_lines(lines(20), "errors").len(), 20);
        assert_eq!(first_lines(lines(25), "errors")[20], "and 5 more errors: --json has all of them");
        assert_eq!(shortened(&lines(8)), "0, 1, 2, 3, 4, 5 and 2 more");
    }
}
