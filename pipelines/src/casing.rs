//! How an unquoted name finds what it means: exactly, then in lower case, then case-insensitively if that is unique.

/// What a name means among several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// This one.
    One(&'a str),
    /// Nothing has this name.
    Nothing,
    /// All of these, sorted.
    Several(Vec<&'a str>),
}

/// The one of `names` that a name means; a quoted name has to match exactly.
pub fn settle<'a>(name: &str, is_quoted: bool, names: impl IntoIterator<Item = &'a str>) -> Meaning<'a> {
    let lower = name.to_lowercase();
    let mut in_lower = None;
    let mut alike = Vec::new();
    for candidate in names {
        if candidate == name {
            return Meaning::One(candidate);
        }
        if candidate == lower {
            in_lower = Some(candidate);
        } else if !is_quoted && candidate.to_lowercase() == lower {
            alike.push(candidate);
        }
    }
    if is_quoted {
        return Meaning::Nothing;
    }
    if let Some(found) = in_lower {
        return Meaning::One(found);
    }
    alike.sort_unstable();
    alike.dedup();
    match alike.as_slice() {
        [] => Meaning::Nothing,
        [only] => Meaning::One(only),
        _ => Meaning::Several(alike),
    }
}

/// `"A" or "a"`: the quoted forms of names that one unquoted name could mean.
pub fn quoted_forms(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_matches_exactly_then_in_lower_case_then_by_letters_if_that_is_unique() {
        assert_eq!(settle("ID", false, ["id", "ID"]), Meaning::One("ID"));
        assert_eq!(settle("ID", false, ["Id", "id"]), Meaning::One("id"));
        assert_eq!(settle("orderid", false, ["id", "orderId"]), Meaning::One("orderId"));
        assert_eq!(settle("ab", false, ["aB", "Ab"]), Meaning::Several(vec!["Ab", "aB"]));
        assert_eq!(settle("x", false, ["id"]), Meaning::Nothing);
    }

    #[test]
    fn a_quoted_name_matches_exactly_or_not_at_all() {
        assert_eq!(settle("ID", true, ["id", "Id"]), Meaning::Nothing);
        assert_eq!(settle("Id", true, ["id", "Id"]), Meaning::One("Id"));
    }
}
