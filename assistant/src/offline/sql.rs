//! A selection as SQL.

use std::collections::HashSet;

use super::period::Period;
use super::routes::{Hop, Route};
use super::selection::{Condition, Fold, Item, Number, Partners, Place, Selection, Test, Top, Unit, Value};
use crate::known::{ColumnId, Known, TableId};
use crate::words::split_name;

/// The first moment of a period and the first one after it, as SQL that fits a column of this Arrow type.
pub(super) type Bounds<'a> = dyn Fn(Period, &str) -> Option<(String, String)> + 'a;

/// How a statement names tables and times.
pub(super) struct Writing<'a> {
    pub(super) known: &'a Known,
    /// A table, as it is named behind FROM.
    pub(super) table: &'a dyn Fn(TableId) -> String,
    pub(super) bounds: &'a Bounds<'a>,
    /// The zone that days and months are of.
    pub(super) zone: &'a str,
}

/// The names of a selection's output columns, in order.
pub(super) fn columns(selection: &Selection, known: &Known) -> Vec<String> {
    let whole = selection.whole_rows || (selection.items.is_empty() && selection.groups.is_empty());
    let own = known.columns(selection.base).map(|(_, column)| column.name.clone()).filter(|_| whole);
    let mut names: Vec<String> = own.collect();
    for item in selection.groups.iter().chain(&selection.items) {
        let mut name = item.name.clone().unwrap_or_else(|| default_name(item, selection.base, known));
        if names.contains(&name)
            && let Some(place) = item.value.place()
            && let Some(table) = known.table(place.column.table)
        {
            name = format!("{}_{name}", split_name(table.name()).join("_"));
        }
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let name = std::iter::once(name.clone()).chain(numbered).find(|name| !names.contains(name)).unwrap_or_default();
        names.push(name);
    }
    names
}

/// The name that a column has among a selection's outputs.
pub(super) fn name_of(place: &Place, selection: &Selection, known: &Known) -> Option<String> {
    let names = columns(selection, known);
    let outputs: Vec<&Value> = selection.groups.iter().chain(&selection.items).map(|item| &item.value).collect();
    // The table's own columns, if all of them are loaded, stand first.
    let own = names.len() - outputs.len();
    let value = Value::Column(place.clone());
    let named = outputs.into_iter().zip(&names[own..]).find(|(output, _)| **output == value);
    let column = known.column(place.column).filter(|_| own > 0 && place.route.is_empty());
    named.map(|(_, name)| name.clone()).or_else(|| column.map(|column| column.name.clone()))
}

fn default_name(item: &Item, base: TableId, known: &Known) -> String {
    let column = |place: &Place| known.column(place.column).map(|column| column.name.clone()).unwrap_or_default();
    let fold = |fold: Fold| match fold {
        Fold::Sum => "sum",
        Fold::Average => "average",
        Fold::Smallest => "smallest",
        Fold::Largest => "largest",
    };
    match &item.value {
        Value::Column(place) => column(place),
        Value::Cut(unit, _) => unit.as_str().to_owned(),
        Value::Rows => known.table(base).map_or_else(|| "rows".to_owned(), |table| split_name(table.name()).join("_")),
        Value::Distinct(place) => format!("distinct_{}", split_name(&column(place)).join("_")),
        Value::Folded(of, place) => format!("{}_{}", fold(*of), split_name(&column(place)).join("_")),
    }
}

impl Writing<'_> {
    /// The statement; `None` if a period has no bounds here.
    pub(super) fn select(&self, selection: &Selection) -> Option<String> {
        let aliases = Aliases::of(selection, self.known);
        let names = columns(selection, self.known);
        let all = vec![format!("{}.*", aliases.base)];
        let outputs: Vec<String> = match selection.items.is_empty() && selection.groups.is_empty() {
            true => all,
            false => {
                let items = selection.groups.iter().chain(&selection.items);
                let own = if selection.whole_rows { names.len() - selection.items.len() } else { 0 };
                let outputs = items.zip(&names[own..]).map(|(item, name)| {
                    let value = self.value(&item.value, selection, &aliases);
                    let ends_so = value.ends_with(&format!(".{}", identifier(name)));
                    if ends_so { value } else { format!("{value} AS {}", identifier(name)) }
                });
                all.into_iter().filter(|_| selection.whole_rows).chain(outputs).collect()
            }
        };
        let mut text = format!("SELECT {}\nFROM {}", outputs.join(", "), self.from(selection, &aliases)?);
        let filters = self.filters(selection, &aliases)?;
        if !filters.is_empty() {
            text.push_str(&format!("\nWHERE {}", filters.join("\n  AND ")));
        }
        if !selection.groups.is_empty() {
            let groups: Vec<String> =
                selection.groups.iter().map(|group| self.value(&group.value, selection, &aliases)).collect();
            text.push_str(&format!("\nGROUP BY {}", groups.join(", ")));
        }
        if let Some(top) = &selection.top {
            text.push_str(&self.order(top, selection, &aliases));
        }
        Some(text)
    }

    fn order(&self, top: &Top, selection: &Selection, aliases: &Aliases) -> String {
        let direction = if top.ascending { "ASC" } else { "DESC" };
        let by = self.value(&top.by, selection, aliases);
        // What ties is ordered by its own columns, so that the same rows come each time.
        let rest = selection.groups.iter().chain(&selection.items).filter(|item| item.value != top.by);
        let rest: Vec<String> = rest.map(|item| format!(", {}", self.value(&item.value, selection, aliases))).collect();
        let limit = top.count.map(|count| format!("\nLIMIT {count}")).unwrap_or_default();
        format!("\nORDER BY {by} {direction} NULLS LAST{}{limit}", rest.concat())
    }

    fn from(&self, selection: &Selection, aliases: &Aliases) -> Option<String> {
        let base = self.named(selection.base, &aliases.base);
        let whole =
            aliases.routes.iter().find(|(route, _)| route.len() == 1 && selection.whole.contains(&route[0].table));
        let mut text = match whole {
            None => base,
            Some((route, alias)) => {
                // The rows of the other table stay: conditions on these rows decide which of them have partners.
                let mut on = vec![self.on(&route[0], &aliases.base, alias)];
                for condition in selection.conditions.iter().filter(|condition| condition.place.route.is_empty()) {
                    on.push(self.condition(condition, selection, aliases)?);
                }
                format!("{}\nLEFT JOIN {base} ON {}", self.named(route[0].table, alias), on.join(" AND "))
            }
        };
        for (route, alias) in &aliases.routes {
            if whole.is_some_and(|(first, _)| first == route) {
                continue;
            }
            let (hop, before) = route.split_last()?;
            let kept = route.iter().any(|hop| selection.keeps.contains(&hop.table)) || whole.is_some();
            let join = if kept { "LEFT JOIN" } else { "JOIN" };
            let on = self.on(hop, aliases.of_route(before), alias);
            text.push_str(&format!("\n{join} {} ON {on}", self.named(hop.table, alias)));
        }
        Some(text)
    }

    /// A table and the name that the statement gives it.
    fn named(&self, table: TableId, alias: &str) -> String {
        let name = (self.table)(table);
        if name == alias { name } else { format!("{name} AS {alias}") }
    }

    fn on(&self, hop: &Hop, from: &str, to: &str) -> String {
        let pairs = hop.from.iter().zip(&hop.to);
        let pairs: Vec<String> =
            pairs.map(|(one, other)| format!("{to}.{} = {from}.{}", self.name(*other), self.name(*one))).collect();
        pairs.join(" AND ")
    }

    fn filters(&self, selection: &Selection, aliases: &Aliases) -> Option<Vec<String>> {
        let on_base = |condition: &&Condition| selection.whole.is_empty() || !condition.place.route.is_empty();
        let mut filters = Vec::new();
        for condition in selection.conditions.iter().filter(on_base) {
            filters.push(self.condition(condition, selection, aliases)?);
        }
        for (number, partners) in selection.partners.iter().enumerate() {
            let mut alias = format!("other{}", if number == 0 { String::new() } else { number.to_string() });
            while aliases.base == alias || aliases.routes.iter().any(|(_, taken)| *taken == alias) {
                alias.push('_');
            }
            filters.push(self.partners(partners, &alias, &aliases.base)?);
        }
        Some(filters)
    }

    /// Whether so many rows of another table refer to a row.
    fn partners(&self, partners: &Partners, alias: &str, base: &str) -> Option<String> {
        let mut filters = Vec::new();
        for condition in &partners.conditions {
            let column = format!("{alias}.{}", self.name(condition.place.column));
            filters.push(self.test(&column, &condition.test, condition.place.column)?);
        }
        let other = (self.table)(partners.table);
        let pairs: Vec<(String, String)> = partners
            .hop
            .from
            .iter()
            .zip(&partners.hop.to)
            .map(|(one, to)| (format!("{alias}.{}", self.name(*one)), format!("{base}.{}", self.name(*to))))
            .collect();
        let Number::Is(sign, number) = partners.number else {
            let not = if partners.number == Number::None { "NOT " } else { "" };
            let meets = pairs.iter().map(|(one, to)| format!("{one} = {to}")).chain(filters);
            let meets = meets.collect::<Vec<_>>().join(" AND ");
            return Some(format!("{not}EXISTS (SELECT 1 FROM {other} AS {alias} WHERE {meets})"));
        };
        // A row without partners is in no group: of tests that none passes, the opposite is looked for.
        let none_passes = matches!(sign, "<" | "<=") || (sign == "=" && number == 0) || (sign == ">=" && number == 0);
        let (not, sign) = if none_passes { ("NOT ", opposite(sign)) } else { ("", sign) };
        let [(from, to)] = pairs.as_slice() else { return None };
        let meets = std::iter::once(format!("{from} IS NOT NULL")).chain(filters).collect::<Vec<_>>().join(" AND ");
        Some(format!(
            "{to} {not}IN (SELECT {from} FROM {other} AS {alias} WHERE {meets} GROUP BY {from} HAVING count(*) {sign} {number})"
        ))
    }

    fn condition(&self, condition: &Condition, selection: &Selection, aliases: &Aliases) -> Option<String> {
        let column = self.place(&condition.place, selection, aliases);
        self.test(&column, &condition.test, condition.place.column)
    }

    /// A test of a column by its name in the statement.
    pub(super) fn test(&self, column: &str, test: &Test, of: ColumnId) -> Option<String> {
        Some(match test {
            Test::Empty => format!("{column} IS NULL"),
            Test::NotEmpty => format!("{column} IS NOT NULL"),
            Test::Compare("=", value) if value == "true" => column.to_owned(),
            Test::Compare("=", value) if value == "false" => format!("NOT {column}"),
            Test::Compare(sign, value) => format!("{column} {sign} {value}"),
            Test::Among(values) => format!("{column} IN ({})", values.join(", ")),
            Test::Between(low, high) => format!("{column} BETWEEN {low} AND {high}"),
            Test::Like(pattern) => format!("{column} LIKE {pattern}"),
            Test::Not(test) => format!("NOT ({})", self.test(column, test, of)?),
            Test::Before(period) | Test::From(period) | Test::Until(period) | Test::After(period) => {
                let kind = &self.known.column(of)?.arrow_type;
                let (start, end) = (self.bounds)(*period, kind)?;
                let sign = if matches!(test, Test::From(_) | Test::After(_)) { ">=" } else { "<" };
                let bound = if matches!(test, Test::Before(_) | Test::From(_)) { start } else { end };
                format!("{column} {sign} {bound}")
            }
            Test::During(period) => {
                let kind = &self.known.column(of)?.arrow_type;
                let (start, end) = (self.bounds)(*period, kind)?;
                format!("{column} >= {start} AND {column} < {end}")
            }
        })
    }

    fn value(&self, value: &Value, selection: &Selection, aliases: &Aliases) -> String {
        let place = |place: &Place| self.place(place, selection, aliases);
        match value {
            Value::Column(column) => place(column),
            Value::Cut(unit, column) => self.cut(*unit, &place(column), column.column),
            // Rows of another table that stay have none of these to count.
            Value::Rows => match aliases
                .routes
                .iter()
                .find(|(route, _)| route.len() == 1 && selection.whole.contains(&route[0].table))
            {
                Some((route, _)) => format!("count({}.{})", aliases.base, self.name(route[0].from[0])),
                None => "count(*)".to_owned(),
            },
            Value::Distinct(column) => format!("count(DISTINCT {})", place(column)),
            Value::Folded(fold, column) => {
                let name = match fold {
                    Fold::Sum => "sum",
                    Fold::Average => "avg",
                    Fold::Smallest => "min",
                    Fold::Largest => "max",
                };
                format!("{name}({})", place(column))
            }
        }
    }

    fn cut(&self, unit: Unit, column: &str, of: ColumnId) -> String {
        let kind = self.known.column(of).map_or("", |column| column.arrow_type.as_str());
        let local = match is_zoned(kind) {
            true => format!("{column} AT TIME ZONE '{}'", self.zone.replace('\'', "''")),
            false => column.to_owned(),
        };
        let cut = format!("date_trunc('{}', {local})", unit.as_str());
        if unit == Unit::Hour { cut } else { format!("CAST({cut} AS date)") }
    }

    fn place(&self, place: &Place, selection: &Selection, aliases: &Aliases) -> String {
        // The key of rows that stay is their own: those that refer to them may be missing.
        if place.route.is_empty() {
            for (route, alias) in &aliases.routes {
                let [hop] = route.as_slice() else { continue };
                if let Some(at) = hop.from.iter().position(|from| *from == place.column)
                    && selection.whole.contains(&hop.table)
                {
                    return format!("{alias}.{}", self.name(hop.to[at]));
                }
            }
        }
        format!("{}.{}", aliases.of_route(&place.route), self.name(place.column))
    }

    fn name(&self, column: ColumnId) -> String {
        self.known.column(column).map(|column| identifier(&column.name)).unwrap_or_default()
    }
}

/// The sign that holds where another one does not.
pub(super) fn opposite(sign: &str) -> &'static str {
    match sign {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        "<=" => ">",
        ">" => "<=",
        _ => "<",
    }
}

/// Whether a type is a time with a zone.
pub(super) fn is_zoned(arrow_type: &str) -> bool {
    arrow_type.starts_with("Timestamp") && arrow_type.contains('"')
}

/// The names that a statement gives its tables: each of a route of its own.
struct Aliases {
    base: String,
    routes: Vec<(Route, String)>,
}

impl Aliases {
    fn of(selection: &Selection, known: &Known) -> Self {
        let mut taken: HashSet<String> = HashSet::new();
        let mut name = |table: TableId| {
            let words = known.table(table).map(|table| split_name(table.name())).unwrap_or_default();
            let plain: String = words.join("_").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let plain = if plain.starts_with(|c: char| c.is_ascii_lowercase()) && !is_reserved(&plain) {
                plain
            } else {
                format!("t_{plain}")
            };
            let numbered = (2..).map(|number| format!("{plain}{number}"));
            let mut names = std::iter::once(plain.clone()).chain(numbered);
            let free = names.find(|name| !taken.contains(name)).unwrap_or_default();
            taken.insert(free.clone());
            free
        };
        let base = name(selection.base);
        let mut routes: Vec<(Route, String)> = Vec::new();
        let mut add = |route: &[Hop]| {
            for length in 1..=route.len() {
                let prefix = &route[..length];
                if !routes.iter().any(|(known, _)| known == prefix) {
                    routes.push((prefix.to_vec(), name(prefix[length - 1].table)));
                }
            }
        };
        selection.places().for_each(|place| add(&place.route));
        for whole in &selection.whole {
            for way in super::routes::routes(known, selection.base, *whole) {
                add(&way);
            }
        }
        Self { base, routes }
    }

    fn of_route(&self, route: &[Hop]) -> &str {
        self.routes.iter().find(|(known, _)| known == route).map_or(&self.base, |(_, alias)| alias)
    }
}

/// A name as SQL writes it: in quotes unless it reads the same without them.
pub(super) fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !is_reserved(name);
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that a statement may not have as a name without quotes.
fn is_reserved(name: &str) -> bool {
    const WORDS: &str = " all analyse analyze and any array as asc asymmetric between both by case cast check collate column constraint create cross \
current current_date current_role current_time current_timestamp current_user default deferrable desc distinct do else end except exists false fetch for \
foreign from full grant group having in initially inner intersect into interval is isnull join lateral leading left like limit localtime localtimestamp \
natural not notnull null offset on only or order outer over overlaps partition placing primary range references returning right row rows select \
session_user similar some symmetric table then time timestamp to trailing true union unique user using values variadic verbose view when where window \
with year month day hour minute second date extract floor ceil trim substring overlay convert try_cast map struct position prior set qualify pivot unpivot sample \
semi anti sort cluster minus global match percent describe explain call merge ";
    WORDS.contains(&format!(" {name} "))
}
