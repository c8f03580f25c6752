//! Texts in quotes, and `format()`, as Postgres writes them.

/// Words that a name has to be quoted for.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean \
both case cast char character check coalesce collate collation column concurrently constraint create cross current_catalog \
current_date current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc \
distinct do else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having \
ilike in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit localtime \
localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order out outer overlaps \
overlay placing position precision primary real references returning right row select session_user setof similar smallint some \
substring symmetric table tablesample then time timestamp to trailing treat trim true union unique user using values varchar \
variadic verbose when where window with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi \
xmlroot xmlserialize xmltable ";

/// A name, in quotes where it needs them.
pub(super) fn identifier(name: &str) -> String {
    let is_start = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_start && is_plain && !RESERVED.contains(&format!(" {name} ")) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The format of a value: `%[position$][-][width]type`.
#[derive(Debug, Default)]
struct Place {
    /// The value's number, or the next one.
    value: Option<usize>,
    is_left: bool,
    width: usize,
    /// The number of the value that is the width; 0 is the next one.
    width_value: Option<usize>,
    kind: char,
}

const UNFINISHED: &str = "a format ends within a placeholder: write %% for a %";

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(behind) => {
                self.rest = behind;
                true
            }
            None => false,
        }
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = self.rest.split_at(count);
        if count == 0 {
            return Ok(None);
        }
        self.rest = behind;
        let value = digits.parse::<i32>().ok().and_then(|value| usize::try_from(value).ok());
        value.map(Some).ok_or_else(|| "a number of the format is out of range".to_owned())
    }

    fn place(&mut self) -> Result<Place, String> {
        let mut place = Place::default();
        let first = self.number()?;
        if first.is_some() && self.take('$') {
            place.value = first;
        } else if let Some(width) = first {
            place.width = width;
            return self.typed(place);
        }
        while self.take('-') {
            place.is_left = true;
        }
        if self.take('*') {
            let value = self.number()?;
            if value.is_some() && !self.take('$') {
                return Err("the number of a width ends with $".to_owned());
            }
            if value == Some(0) {
                return Err("values are numbered from 1".to_owned());
            }
            place.width_value = Some(value.unwrap_or(0));
        } else if let Some(width) = self.number()? {
            place.width = width;
        }
        self.typed(place)
    }

    fn typed(&mut self, mut place: Place) -> Result<Place, String> {
        if place.value == Some(0) {
            return Err("values are numbered from 1".to_owned());
        }
        place.kind = self.next().ok_or(UNFINISHED)?;
        if !matches!(place.kind, 's' | 'I' | 'L') {
            return Err(format!("the type %{} of a format is unknown: there are s, I and L", place.kind));
        }
        Ok(place)
    }
}

/// `format()` of values, which are written as their output functions have them.
pub(super) fn formatted(format: &str, values: &[Option<&str>]) -> Result<String, String> {
    let mut reader = Reader { rest: format };
    let mut made = String::new();
    let mut next_value = 0;
    while let Some(next) = reader.next() {
        if next != '%' {
            made.push(next);
            continue;
        }
        if reader.rest.is_empty() {
            return Err(UNFINISHED.to_owned());
        }
        if reader.take('%') {
            made.push('%');
            continue;
        }
        let mut place = reader.place()?;
        let mut value = |number: Option<usize>| {
            let index = number.map_or(next_value, |number| number - 1);
            next_value = index + 1;
            values.get(index).copied().ok_or_else(|| "the format has more places than there are values".to_owned())
        };
        if let Some(number) = place.width_value {
            let width = value(Some(number).filter(|number| *number > 0))?;
            let width: i32 = width.map_or(Ok(0), |width| width.trim().parse().map_err(|_| "a width is an integer"))?;
            place.is_left |= width < 0;
            place.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
        }
        let text = match (place.kind, value(place.value)?) {
            ('s', text) => text.unwrap_or_default().to_owned(),
            ('I', Some(text)) => identifier(text),
            ('I', None) => return Err("NULL is no name".to_owned()),
            (_, Some(text)) => literal(text),
            (_, None) => "NULL".to_owned(),
        };
        let width = place.width;
        let blanks = " ".repeat(width.saturating_sub(text.chars().count()));
        made.push_str(&if place.is_left { format!("{text}{blanks}") } else { format!("{blanks}{text}") });
    }
    Ok(made)
}

/// `unistr()`: `\0041`, `\u0041`, `\+000041`, `\U00000041` and `\\`.
pub(super) fn unescaped(text: &str) -> Result<String, String> {
    let wrong = || format!("'{text}' has an escape that is no character");
    let mut made = String::new();
    let mut rest = text;
    let mut high: Option<u32> = None;
    while let Some(next) = rest.chars().next() {
        rest = &rest[next.len_utf8()..];
        if next != '\\' || rest.starts_with('\\') {
            if high.is_some() {
                return Err(wrong());
            }
            made.push(next);
            rest = if next == '\\' { &rest[1..] } else { rest };
            continue;
        }
        let (skipped, width) = match rest.bytes().next() {
            Some(b'+') => (1, 6),
            Some(b'u') => (1, 4),
            Some(b'U') => (1, 8),
            _ => (0, 4),
        };
        let digits = rest.get(skipped..skipped + width).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(wrong)?;
        rest = &rest[skipped + width..];
        let code = match (high.take(), code) {
            (None, 0xd800..0xdc00) => {
                high = Some(code);
                continue;
            }
            (Some(high), 0xdc00..0xe000) => 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00),
            (None, code) => code,
            _ => return Err(wrong()),
        };
        made.push(char::from_u32(code).filter(|found| *found != '\0').ok_or_else(wrong)?);
    }
    if high.is_some() { Err(wrong()) } else { Ok(made) }
}
