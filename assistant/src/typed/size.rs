//! How large the plans of a draft become. A dataset that is read twice is planned twice, and so is what it reads: plans of too many parts never end.

use std::collections::BTreeMap;

use headwater_pipelines::path::TaskPath;

use super::fault::Fault;
use super::sql;

/// The most parts of a transform's plan, with those of what it reads.
const MOST_PARTS: usize = 400;

/// Transforms whose plans have too many parts. `reads` are the names that each one reads, as often as it does.
pub(super) fn faults(paths: &[&TaskPath], reads: &BTreeMap<TaskPath, Vec<String>>) -> Vec<Fault> {
    let find = |name: &String| paths.iter().copied().find(|path| sql::names_of(path).contains(name));
    let mut parts: BTreeMap<&TaskPath, usize> = BTreeMap::new();
    // As many rounds as a chain can be long.
    for _ in 0..paths.len() {
        let counted = reads.iter().map(|(path, reads)| {
            let inputs = reads.iter().map(|name| find(name).and_then(|path| parts.get(path)).copied().unwrap_or(1));
            (path, inputs.fold(1, usize::saturating_add))
        });
        let counted: BTreeMap<&TaskPath, usize> = counted.collect();
        if counted == parts {
            break;
        }
        parts = counted;
    }
    let over = parts.into_iter().filter(|(_, count)| *count > MOST_PARTS);
    over.map(|(path, count)| {
        let message = format!(
            "its plan has {count} parts and may have {MOST_PARTS}: it reads tasks again and again that read others"
        );
        Fault::structure(path, &message)
    })
    .collect()
}
