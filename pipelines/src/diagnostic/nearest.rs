//! The valid name that a wrong one probably means.

/// More names than this are not listed.
const LISTED: usize = 12;

/// More names than this are not compared: a file of a hundred thousand tasks must not take minutes to check.
pub(super) const COMPARED: usize = 1_000;

/// Words of other tools for ours.
const SYNONYMS: [(&str, &str); 8] = [
    ("replace", "overwrite"),
    ("truncate", "overwrite"),
    ("full", "overwrite"),
    ("insert", "append"),
    ("incremental", "append"),
    ("merge", "upsert"),
    ("snapshot", "scd2"),
    ("ignore", "warn"),
];

/// The valid name that is near enough to a wrong one to be what was meant.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_lowercase();
    let meant = SYNONYMS.iter().find(|(word, _)| *word == wrong).map(|(_, ours)| *ours);
    let mut best: Option<(f64, &'a str)> = None;
    for name in valid.into_iter().take(COMPARED) {
        if Some(name) == meant {
            return Some(name);
        }
        let score = likeness(&wrong, &name.to_lowercase());
        let better = |(best, other): (f64, &str)| score > best || (score >= best && name < other);
        if score >= 0.8 && best.is_none_or(better) {
            best = Some((score, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Between 0 and 1. One typing slip (a letter more, less, wrong or two swapped) counts as near in short words too.
fn likeness(wrong: &str, name: &str) -> f64 {
    let score = strsim::jaro_winkler(wrong, name);
    let slip = wrong.len().max(name.len()) >= 3
        && wrong.len().abs_diff(name.len()) <= 4
        && strsim::osa_distance(wrong, name) <= 1;
    if slip { score.max(0.9) } else { score }
}

/// "did you mean …" or, if no name is near, the list of valid names.
pub fn nearest_hint<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = valid.into_iter().collect();
    hint(nearest(wrong, names.iter().copied()), names)
}

/// The hint for a nearest name that is known, or that there is none.
pub(super) fn hint(nearest: Option<&str>, mut names: Vec<&str>) -> Option<String> {
    if let Some(name) = nearest {
        return Some(format!("did you mean '{name}'?"));
    }
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => None,
        1..=LISTED => Some(format!("valid names are {}", names.join(", "))),
        all => Some(format!("valid names are {} and {} more", names[..LISTED].join(", "), all - LISTED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_of_a_short_word_is_near() {
        assert_eq!(nearest("slq", ["name", "sql"]), Some("sql"));
        assert_eq!(nearest("kyes", ["keys", "track"]), Some("keys"));
        assert_eq!(nearest("whatever", ["keys", "track"]), None);
    }

    #[test]
    fn a_word_of_another_tool_leads_to_ours() {
        assert_eq!(nearest("replace", ["append", "overwrite"]), Some("overwrite"));
        assert_eq!(nearest("MERGE", ["append", "upsert"]), Some("upsert"));
        assert_eq!(nearest("replace", ["orders"]), None, "only where our word is valid");
    }

    #[test]
    fn valid_names_are_listed_when_none_is_near() {
        assert_eq!(nearest_hint("x", ["b", "a"]).as_deref(), Some("valid names are a, b"));
        assert_eq!(nearest_hint("x", []), None);
    }
}
