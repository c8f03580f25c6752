//! How a data phrase begins: `how many orders`, `sum of total of orders`, `top 3 names by count`, or the table alone.

use std::ops::Range;

use super::condition::Family;
use super::data::Reader;
use super::list::List;
use super::modifiers::time_columns;
use super::ranks::{Kind, Rank, count_of};
use super::routes::hops;
use super::selection::{Fold, Item, Place, Selection, Value};
use super::stop::Stop;
use crate::draft::{Choice, Question};
use crate::known::TableId;

/// Words that say nothing about which rows are meant.
const FILLERS: [&str; 34] = [
    "list", "show", "give", "me", "what", "which", "is", "are", "was", "were", "the", "all", "every", "find", "please",
    "get", "display", "columns", "column", "fields", "only", "just", "tell", "us", "i", "want", "need", "see", "to",
    "can", "could", "you", "return", "fetch",
];

impl Reader<'_> {
    /// Items, folded values, or the table alone; then what narrows them.
    pub(super) fn head(&self, head: Range<usize>, selection: &mut Selection, rank: &mut Rank) -> Result<(), Stop> {
        let end = self.data.without_comma(head.clone());
        let mut at = head.start;
        while self
            .said(at, end)
            .is_some_and(|token| FILLERS.iter().any(|word| token.is(word)) && self.table(at, end).is_none())
        {
            at += 1;
        }
        let behind = self.opening(at, end, selection, rank)?;
        let behind = self.rest(behind, end, selection)?;
        self.ended(behind, end, "'and', 'of' a table, or a word that begins the next part")
    }

    fn opening(&self, at: usize, end: usize, selection: &mut Selection, rank: &mut Rank) -> Result<usize, Stop> {
        if self.is(at, end, "how") && self.is(at + 1, end, "many") {
            let (behind, value) = self.how_many(at + 2, end)?;
            selection.items.push(Item { value, name: None });
            return Ok(behind);
        }
        if self.is(at, end, "when") && self.is_any(at + 1, end, &["is", "was"]) {
            return self.when(at + 2, end, selection, rank);
        }
        let is_top = self.is(at, end, "top") && !self.phrase.skipped.contains(&at);
        if is_top || (self.said(at, end).and_then(count_of).is_some() && !self.phrase.skipped.contains(&at)) {
            return self.top(at + usize::from(is_top), end, selection, rank);
        }
        if self.is_any(at, end, &["distinct", "different", "unique"]) {
            let mut values = Selection::of(self.base);
            let behind = self.items(at + 1, end, &mut values)?;
            selection.groups = values.items;
            return Ok(behind);
        }
        // `order no` is a column, though `order` is the table.
        let own = self.data.names.column(&self.data.said[self.phrase.skip_articles(at, end)..end], self.base);
        let column = own.map_or(0, |own| self.phrase.skip_articles(at, end) + own.length);
        if let Some(behind) = self.table(at, end).filter(|behind| *behind >= column) {
            if rank.count.is_some() && self.is(behind, end, "by") {
                let (behind, by) = self.item(behind + 1, end)?;
                rank.by = Some(by.value);
                selection.whole_rows = true;
                return Ok(behind);
            }
            selection.whole_rows = true;
            return Ok(behind);
        }
        self.items(at, end, selection)
    }

    pub(super) fn items(&self, mut at: usize, end: usize, selection: &mut Selection) -> Result<usize, Stop> {
        let mut list = List::default();
        loop {
            if let Some(behind) = self.several_folds(at, end, selection)? {
                at = behind;
            }
            let (behind, item) = self.item(at, end)?;
            if let Value::Column(place) = &item.value {
                let start = self.phrase.skip_articles(at, end);
                let named = (start..behind).find(|place| self.is(*place, behind, "as")).unwrap_or(behind);
                list.add(&self.phrase, start..named, place)?;
            }
            selection.items.push(item);
            at = behind;
            let comma = self.is(at, end, ",");
            let and = self.is(at + usize::from(comma), end, "and");
            if !comma && !and {
                return Ok(at);
            }
            at += usize::from(comma) + usize::from(and);
        }
    }

    pub(super) fn item(&self, at: usize, end: usize) -> Result<(usize, Item), Stop> {
        let at = self.phrase.skip_articles(at, end);
        let (mut behind, value) = match self.folded(at, end)? {
            Some(read) => read,
            None => {
                let (behind, place) = self.phrase.column(at, end)?;
                (behind, Value::Column(place))
            }
        };
        // `sum of kwh of lake.strom as kwh` and `sum of kwh as kwh of lake.strom`.
        behind = self.of_table(behind, end).unwrap_or(behind);
        let (mut behind, name) = self.name(behind, end)?;
        behind = self.of_table(behind, end).unwrap_or(behind);
        Ok((behind, Item { value, name }))
    }

    /// `as name`
    pub(super) fn name(&self, at: usize, end: usize) -> Result<(usize, Option<String>), Stop> {
        if !self.is(at, end, "as") {
            return Ok((at, None));
        }
        let token = self.said(at + 1, end).ok_or_else(|| Stop::at(at + 1, "a name for the column"))?;
        let fits = token.is_quoted || (!token.is_sign() && !token.text.contains(['.', '/', ':']));
        if !fits {
            return Err(Stop::at(at + 1, "a name for the column"));
        }
        Ok((at + 2, Some(token.text.clone())))
    }

    fn folded(&self, at: usize, end: usize) -> Result<Option<(usize, Value)>, Stop> {
        if self.is(at, end, "count") || (self.is(at, end, "number") && self.is(at + 1, end, "of")) {
            match self.data.names.column(&self.data.said[at..end], self.base) {
                // `number of items` is the column of that name.
                Some(own) if own.length > 1 => return Ok(None),
                // `count orders` counts them; `by count` and `count of orders` could be of the column.
                Some(_) if at + 1 == end || self.is(at + 1, end, "of") => {
                    let expected = "'number of rows', or 'sum of' and the column: there is one of this name";
                    return Err(Stop::at(at, expected));
                }
                _ => {}
            }
            let start = at + 1 + usize::from(self.is(at + 1, end, "of"));
            // `count and sum of amount of payments`
            if self.is_any(start, end, &["and", ",", "as"]) || start == end {
                return Ok(Some((start, Value::Rows)));
            }
            return self.how_many(start, end).map(Some);
        }
        let Some(fold) = self.fold(at, end) else { return Ok(None) };
        // `total` may be a column.
        let own = self.data.names.column(&self.data.said[at..end], self.base);
        // `total amount` is the column of that name, if there is one.
        if own.as_ref().is_some_and(|own| {
            own.length > 1 || !self.data.said[at].text.eq_ignore_ascii_case(&self.data.said[at].words.concat())
        }) {
            return Ok(None);
        }
        let own = own.is_some();
        let behind = at + 1 + usize::from(self.is(at + 1, end, "of"));
        match self.phrase.column(behind, end) {
            Ok((_, place))
                if matches!(fold, Fold::Sum | Fold::Average) && self.family(&place) != Family::Number && !own =>
            {
                Err(Stop::at(behind, "a column with numbers"))
            }
            // The latest total would be the total of the latest row.
            Ok((_, place)) if self.is_any(at, end, &["earliest", "latest"]) && self.family(&place) != Family::Time => {
                Err(Stop::at(behind, "a column with dates or times"))
            }
            // `min stock of the product` is the product's column min_stock, if it has one.
            Ok((behind, _)) if !own && self.begins_a_name(at, behind, end) => Ok(None),
            Ok((behind, place)) => Ok(Some((behind, Value::Folded(fold, place)))),
            Err(_) if own => Ok(None),
            Err(stop) => Err(stop),
        }
    }

    /// Whether the word that folds is the first one of a column's name that reads as far.
    fn begins_a_name(&self, at: usize, behind: usize, end: usize) -> bool {
        let Ok((longer, place)) = self.phrase.column(at, end) else { return false };
        let column = self.data.names.known.column(place.column);
        let words = column.map(|column| crate::words::tokens(&column.name)).unwrap_or_default();
        longer >= behind && words.len() > 1 && words.first() == Some(&crate::words::fold(&self.data.said[at].text))
    }

    fn fold(&self, at: usize, end: usize) -> Option<Fold> {
        let folds = [
            (Fold::Sum, ["sum", "total"].as_slice()),
            (Fold::Average, &["average", "mean", "avg"]),
            (Fold::Smallest, &["minimum", "smallest", "lowest", "min", "earliest"]),
            (Fold::Largest, &["maximum", "largest", "highest", "biggest", "max", "latest"]),
        ];
        folds.into_iter().find(|(_, words)| self.is_any(at, end, words)).map(|(fold, _)| fold)
    }

    /// `minimum and maximum of price`: adds all but the last, whose place it answers with.
    fn several_folds(&self, at: usize, end: usize, selection: &mut Selection) -> Result<Option<usize>, Stop> {
        let start = self.phrase.skip_articles(at, end);
        let mut places = vec![start];
        let mut next = start;
        while self.fold(next, end).is_some() && self.data.names.column(&self.data.said[next..end], self.base).is_none()
        {
            let joint = next + 1 + usize::from(self.is(next + 1, end, ","));
            let joint = joint + usize::from(self.is(joint, end, "and"));
            if joint == next + 1 || self.fold(joint, end).is_none() {
                break;
            }
            places.push(joint);
            next = joint;
        }
        let Some((last, others)) = places.split_last().filter(|(_, others)| !others.is_empty()) else {
            return Ok(None);
        };
        let Some((_, Value::Folded(_, place))) = self.folded(*last, end)? else { return Ok(None) };
        for fold in others.iter().filter_map(|place| self.fold(*place, end)) {
            if matches!(fold, Fold::Sum | Fold::Average) && self.family(&place) != Family::Number {
                return Err(Stop::at(start, "a column with numbers"));
            }
            selection.items.push(Item { value: Value::Folded(fold, place.clone()), name: None });
        }
        Ok(Some(*last))
    }

    /// Behind `how many` and `number of`: rows of the table, different values of a column, or rows that the table's rows refer to.
    fn how_many(&self, at: usize, end: usize) -> Result<(usize, Value), Stop> {
        let is_distinct = self.is_any(at, end, &["different", "distinct", "unique"]);
        let start = self.phrase.skip_articles(at + usize::from(is_distinct), end);
        if !is_distinct && let Some(behind) = self.table(start, end) {
            return Ok((behind, Value::Rows));
        }
        if let Some(read) = self.those_with(start, end) {
            return read;
        }
        if is_distinct {
            let (behind, place) = self.phrase.column(start, end)?;
            return Ok((self.of_table(behind, end).unwrap_or(behind), Value::Distinct(place)));
        }
        Err(Stop::at(start, "the table whose rows are counted, or 'distinct' and a column"))
    }

    /// `when was the first order`
    fn when(&self, at: usize, end: usize, selection: &mut Selection, rank: &mut Rank) -> Result<usize, Stop> {
        let behind = self.table(at, end).ok_or_else(|| self.data.no_table(at))?;
        let Some(ascending) = rank.ascending.filter(|_| rank.kind == Some(Kind::Time)) else {
            return Err(Stop::at(at, "'first' or 'last' and a table"));
        };
        let columns = time_columns(self.data.names.known, self.base);
        let [column] = columns.as_slice() else {
            return Err(Stop::at(at, "a column with dates or times: the table has not just one"));
        };
        let fold = if ascending { Fold::Smallest } else { Fold::Largest };
        let value = Value::Folded(fold, Place { route: Vec::new(), column: *column });
        selection.items.push(Item { value, name: None });
        *rank = Rank::default();
        Ok(behind)
    }

    /// `3 category names by sum of quantity of order items`, `5 customers` of which the rest says by what.
    fn top(&self, at: usize, end: usize, selection: &mut Selection, rank: &mut Rank) -> Result<usize, Stop> {
        let count = self.said(at, end).and_then(count_of).ok_or_else(|| Stop::at(at, "a number of rows"))?;
        let by = (at..end).find(|place| self.is(*place, end, "by"));
        let stop = by.unwrap_or(end);
        let mut group = Selection::of(self.base);
        let entity = self.entity(at + 1, stop);
        let is_entity = entity.is_some();
        let behind = match entity {
            Some(read) => {
                let (behind, items) = read?;
                group.items = items;
                behind
            }
            None => self.items(at + 1, stop, &mut group)?,
        };
        selection.items = group.items;
        (rank.count, rank.at) = (Some(count), at);
        let Some(by) = by else { return Ok(behind) };
        self.ended(behind, by, "'by' and a value")?;
        let (behind, value) = self.item(by + 1, end)?;
        // `top 3 categories by quantity` leaves open how the quantities of each become one.
        let is_of_others =
            selection.items.iter().any(|item| item.value.place().is_some_and(|place| !place.route.is_empty()));
        if (is_entity || is_of_others) && !value.value.is_folded() {
            return Err(Stop::at(by + 1, "a value of the rows of each, such as 'sum of' a column or 'number of' rows"));
        }
        rank.by = Some(value.value);
        Ok(behind)
    }

    /// Columns beside folded values would need a group of their own: a sentence that leaves it out is not guessed at.
    pub(super) fn settle(&self, selection: &mut Selection) -> Result<(), Stop> {
        // `orders per status` counts them, and `total of orders per status` adds them up.
        if !selection.groups.is_empty() && selection.whole_rows && selection.items.is_empty() {
            selection.whole_rows = false;
            selection.items.push(Item { value: Value::Rows, name: None });
        }
        if let [Item { value: Value::Column(place), .. }] = selection.items.as_slice()
            && !selection.groups.is_empty()
            && self.family(place) == Family::Number
            && self
                .data
                .names
                .known
                .column(place.column)
                .is_some_and(|column| column.name.eq_ignore_ascii_case("total"))
        {
            let value = Value::Folded(Fold::Sum, place.clone());
            selection.items[0].value = value;
        }
        self.must_not_be_a_sum(selection)?;
        let folds = selection.items.iter().any(|item| item.value.is_folded());
        let plain = selection.items.iter().any(|item| !item.value.is_folded());
        let repeated = selection.items.iter().any(
            |item| matches!(&item.value, Value::Folded(Fold::Sum | Fold::Average, place) if !place.route.is_empty()),
        );
        if repeated {
            return Err(Stop::at(
                0,
                "values of the rows that are read: those of another table would count once for each row",
            ));
        }
        if !self.can_stay(selection) {
            return Err(Stop::at(0, "'also' without conditions on other tables and without distinct values"));
        }
        if folds && (plain || selection.whole_rows) {
            return Err(Stop::at(0, "folded values alone; the columns that they are folded by stand behind 'per'"));
        }
        if !folds && !selection.groups.is_empty() && !selection.items.is_empty() {
            return Err(Stop::at(0, "a value for each group, such as 'count' or 'sum of' a column"));
        }
        Ok(())
    }

    /// `What is the total of all orders?` may ask for each total or for their sum.
    fn must_not_be_a_sum(&self, selection: &Selection) -> Result<(), Stop> {
        let [Item { value: Value::Column(_), .. }] = selection.items.as_slice() else { return Ok(()) };
        let said = self.data.said;
        let what = said.first().is_some_and(|token| token.is("what"));
        let Some(total) = said.iter().find(|token| token.is("total")).filter(|_| what && selection.top.is_none())
        else {
            return Ok(());
        };
        let sentence = self.data.sentence;
        let choice = |text: &str, said: &str| Choice {
            text: text.to_owned(),
            sentence: format!("{}{said}{}", &sentence[..total.span.start], &sentence[total.span.end..]),
        };
        let choices = vec![choice("their sum", "sum of total"), choice("each of them", "\"total\"")];
        Err(Stop::Ask(Question { text: "Should the totals be added up?".to_owned(), choices }))
    }

    /// Whether rows that have no partner can stay as a sentence says: a condition on the partner, or a value that counts partners of partners, leaves it open.
    fn can_stay(&self, selection: &Selection) -> bool {
        let on_kept = selection
            .conditions
            .iter()
            .any(|condition| condition.place.route.iter().any(|hop| selection.keeps.contains(&hop.table)));
        let counts =
            selection.items.iter().all(|item| item.value.is_folded() && !matches!(item.value, Value::Distinct(_)));
        let direct = |table: &TableId| {
            hops(self.data.names.known, self.base).iter().filter(|hop| hop.table == *table).count() == 1
        };
        let on_base = selection.conditions.iter().all(|condition| condition.place.route.is_empty())
            && selection.partners.is_empty();
        let whole = match selection.whole.as_slice() {
            [] => true,
            [only] => counts && !selection.items.is_empty() && direct(only) && on_base,
            _ => false,
        };
        !on_kept && whole
    }
}
