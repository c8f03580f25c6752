//! Text of others on a terminal.

/// A text of others', whose control characters do nothing to the terminal, and none of whose signs reorders or hides others.
pub fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if acts(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// A text that has lines, and perhaps tabs.
pub fn shown_lines(text: &str) -> String {
    let line = |line| str::split(line, '\t').map(shown).collect::<Vec<_>>().join("\t");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The same text in as many bytes, so that places in it stay: what would act on a terminal is replaced.
pub(super) fn inert(text: &str) -> String {
    let inert = |c: char| match c.len_utf8() {
        _ if !acts(c) || matches!(c, '\n' | '\r' | '\t') => c.to_string(),
        1 => "?".to_owned(),
        2 => "¿".to_owned(),
        3 => "\u{fffd}".to_owned(),
        _ => "\u{fffd}?".to_owned(),
    };
    text.chars().map(inert).collect()
}

/// Whether a sign acts on the terminal instead of standing there: control characters, those without width, those that turn the direction of
/// writing (Unicode's default-ignorable format characters), and separators of lines.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_neither_moves_the_cursor_nor_turns_the_direction_of_writing() {
        assert_eq!(shown("a\u{1b}[2Jb\u{202e}c\u{200b}d\ne é 日本"), "a\\u{1b}[2Jb\\u{202e}c\\u{200b}d\\ne é 日本");
        assert_eq!(shown_lines("SELECT 1\n\tFROM \u{7}t"), "SELECT 1\n\tFROM \\u{7}t");
    }

    #[test]
    fn places_in_a_text_stay_where_they_are() {
        let text = "a\u{1b}b\u{9b}c\u{202e}d\u{e0041}e\n\té";
        let inert = inert(text);
        assert_eq!(inert, "a?b¿c\u{fffd}d\u{fffd}?e\n\té");
        assert_eq!((inert.len(), inert.find('é')), (text.len(), text.find('é')));
    }
}
