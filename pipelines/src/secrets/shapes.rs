//! Secrets that are known by what they look like, whatever stands in front of them: keys in PEM, tokens of well-known services, logins of HTTP and of
//! command lines.

use super::names::{is_literal, is_secret_key};
use crate::yaml::Span;

/// How tokens begin, and how many characters they have at least behind that, in one piece. (Their issuers' documentation; all chose the prefix so that they are
/// found.)
const TOKENS: [(&str, usize); 20] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxa-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xapp-", 16),
    ("sk-", 20),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("npm_", 20),
    ("hvs.", 20),
    ("SG.", 16),
    ("AIza", 30),
    ("AKIA", 16),
    ("dapi", 32),
];

/// A token behind `Bearer`, and a login behind `Basic`, have at least so many characters.
const SHORTEST: usize = 12;

/// Adds every secret of a text that its shape gives away. Takes time in proportion to the text.
pub(super) fn find(text: &str, spans: &mut Vec<Span>) {
    pem(text, spans);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut words = words(line).peekable();
        // What the line has said so far.
        let (mut is_curl, mut is_login) = (false, false);
        while let Some(word) = words.next() {
            let mut add = |span: Span| spans.push(start + span.start..start + span.end);
            token(line, &word).into_iter().for_each(&mut add);
            let text = &line[word.clone()];
            let bare = text.trim_start_matches(['\'', '"', '(', '`']);
            let next = words.peek().cloned();
            is_curl |= bare == "curl";
            is_login |= bare.to_ascii_lowercase().trim_end_matches(':').ends_with("authorization");
            if bare == "Bearer"
                || (is_login && bare.eq_ignore_ascii_case("bearer"))
                || (is_login && bare.eq_ignore_ascii_case("basic"))
            {
                next.and_then(|next| credential(line, next)).into_iter().for_each(&mut add);
            } else if is_curl && (bare.starts_with("--user=") || (bare.starts_with("-u") && bare.len() > 2)) {
                login(line, word.clone()).into_iter().for_each(&mut add);
            } else if is_curl && matches!(bare, "-u" | "--user") {
                next.and_then(|next| login(line, next)).into_iter().for_each(&mut add);
            } else if bare.strip_prefix("--").is_some_and(is_secret_key) {
                next.and_then(|next| value(line, next)).into_iter().for_each(&mut add);
            }
        }
        start += line.len();
    }
}

/// The words of a line, with what quotes they have.
fn words(line: &str) -> impl Iterator<Item = Span> + '_ {
    let mut at = 0;
    line.split_inclusive(char::is_whitespace).filter_map(move |word| {
        let start = at;
        at += word.len();
        let length = word.trim_end().len();
        (length > 0).then_some(start..start + length)
    })
}

/// Private keys, from their first line to their last.
fn pem(text: &str, spans: &mut Vec<Span>) {
    const BEGIN: &str = "-----BEGIN ";
    const KEY: &str = "PRIVATE KEY-----";
    let mut from = 0;
    while let Some(at) = text[from..].find(BEGIN).map(|at| from + at) {
        let label = &text[at + BEGIN.len()..];
        let is_key = label.find(KEY).filter(|end| label[..*end].chars().all(|c| c.is_ascii_uppercase() || c == ' '));
        let Some(end) = is_key else {
            from = at + BEGIN.len();
            continue;
        };
        let start = at + BEGIN.len() + end + KEY.len();
        let length = text[start..].find("-----END").unwrap_or(text.len() - start);
        let body = &text[start..start + length];
        let body = &body[..body.find(['\'', '"']).unwrap_or(body.len())];
        let written = body.trim();
        if !written.is_empty() {
            let first = start + (body.len() - body.trim_start().len());
            spans.push(first..first + written.len());
        }
        from = start + length;
    }
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '~' | '+' | '/' | '=')
}

/// Whether a text has a piece of such a length that is made by a machine: names are made of words and years.
fn is_random(text: &str, least: usize) -> bool {
    let is_made = |piece: &str| {
        let digits = piece.chars().filter(char::is_ascii_digit).count();
        piece.len() >= least && digits >= 2 && digits < piece.len()
    };
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_made)
}

/// A token of a well-known service, or a signed one (JWT), in a word.
fn token(line: &str, word: &Span) -> Option<Span> {
    let text = &line[word.clone()];
    let known = TOKENS.iter().find_map(|(prefix, least)| {
        let at = text.find(prefix)?;
        let is_start = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let rest = &text[at + prefix.len()..];
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(rest.len());
        let fits = is_start && is_random(&rest[..length], *least);
        fits.then_some(at..at + prefix.len() + length)
    });
    let signed = || {
        let at = text.find("eyJ")?;
        let rest = &text[at..];
        let length =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(rest.len());
        let mut parts = rest[..length].split('.');
        // Header and claims are both objects of JSON in base64.
        let is_object = |part: Option<&str>| part.is_some_and(|part| part.starts_with("eyJ") && part.len() >= SHORTEST);
        (is_object(parts.next()) && is_object(parts.next()) && parts.next().is_some()).then_some(at..at + length)
    };
    let span = known.or_else(signed)?;
    Some(word.start + span.start..word.start + span.end)
}

/// What stands behind `Bearer` or `Basic`.
fn credential(line: &str, word: Span) -> Option<Span> {
    let text = &line[word.clone()];
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let found = &text[..length];
    let is_mixed =
        found.chars().skip(1).any(|c| c.is_ascii_uppercase()) && found.contains(|c: char| c.is_ascii_lowercase());
    let fits = length >= SHORTEST && (is_random(found, SHORTEST) || is_mixed || found.ends_with('='));
    fits.then_some(word.start..word.start + length)
}

/// The password of `user:password`.
fn login(line: &str, word: Span) -> Option<Span> {
    let text = &line[word.clone()];
    let at = text.find(':')? + 1;
    let quoted = text.starts_with(['"', '\'']);
    let rest = text[at..].trim_end_matches(['"', '\'', '`', ';', ')']);
    (!rest.is_empty() && (quoted || !text[..at].contains('/')) && is_written(rest))
        .then_some(word.start + at..word.start + at + rest.len())
}

/// The value of an option.
fn value(line: &str, word: Span) -> Option<Span> {
    let text = &line[word.clone()];
    let bare = text.trim_start_matches(['"', '\'']);
    let start = word.start + text.len() - bare.len();
    let bare = bare.trim_end_matches(['"', '\'', '`', ';', ')', ',', '.']);
    let is_word = bare.chars().all(char::is_alphabetic);
    (!is_word && !bare.starts_with('-') && is_written(bare)).then_some(start..start + bare.len())
}

/// Whether a value is written out, and is no place that is to be filled in.
fn is_written(value: &str) -> bool {
    is_literal(value) && !value.starts_with(['$', '<', '{', '%', '*']) && value.contains(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        find(text, &mut spans);
        spans.into_iter().map(|span| &text[span]).collect()
    }

    #[test]
    fn what_looks_like_a_secret_is_one_wherever_it_stands() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        assert_eq!(found(&format!("SELECT '{token}' AS t")), [token.as_str()]);
        assert_eq!(found("'Authorization: Bearer abcdefgh12345678'"), ["abcdefgh12345678"]);
        assert_eq!(found("header 'Authorization: Basic dXNlcjpwYXNz'"), ["dXNlcjpwYXNz"]);
        assert_eq!(found("curl -u admin:hunter2secret https://x.example"), ["hunter2secret"]);
        assert_eq!(found("curl -s --user 'admin:hunter2' https://x.example"), ["hunter2"]);
        assert_eq!(found("curl -uadmin:hunter2 --user=admin:hunter3 x"), ["hunter2", "hunter3"]);
        assert_eq!(found("mysql --password hunter2 --host x"), ["hunter2"]);
        let signed = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";
        assert_eq!(found(&format!("x={signed}&y")), [signed]);
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\nabc\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(key), ["MIIEpAIBAAKCAQEA\nabc"]);
    }

    #[test]
    fn what_only_resembles_one_is_none() {
        for text in [
            "the bearer of this message",
            "SELECT bearer, basic FROM bonds",
            "Bearer ${TOKEN}",
            "Bearer {token}",
            "basic_education_level1",
            "curl -u ${USER}:${PASSWORD} https://x.example",
            "sort -u a:b",
            "task-12345678901234567890 and risk-assessment-2026-overview-of-all",
            "--password ${PASSWORD}",
            "--token-file /run/x",
            "--password is what the column was called",
            "-----BEGIN CERTIFICATE-----\nMIIEpAIBAAKCAQEA\n-----END CERTIFICATE-----",
            "desk-top-computers-and-more-words",
            "files.\"sk-bratislava-2024-orders-of-all-customers.csv\"",
            "ghs_emissions_2024_by_country_and_sector_all",
            "eyJewelry-collection-2024.summary-by-quarter.csv",
            "bearer bonds2026series-a",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
