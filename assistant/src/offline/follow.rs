//! A question that goes on with the one before: `and in 2025?`, `now by country`, `only those with total over 100`, `just the top 3`.
//! The two become one sentence of the grammar, which is read like any other.

use std::ops::Range;

use super::condition::{self, Family};
use super::lexer::{self, Token};
use super::selection::{Selection, Test};
use super::{Names, Outcome, Setting, Statement, ask, ranks, select, spoken};
use crate::draft::{Choice, Question};

/// Words that a question begins with if it goes on with another one.
const OPENINGS: [&str; 32] = [
    "and what about",
    "and how about",
    "what about",
    "how about",
    "the same",
    "same",
    "and",
    "but",
    "now",
    "then",
    "or",
    "please",
    "show",
    "only",
    "just",
    "those",
    "the ones",
    "ones",
    "them",
    "und was ist mit",
    "was ist mit",
    "und wie ist es",
    "dasselbe",
    "das gleiche",
    "und",
    "aber",
    "jetzt",
    "nun",
    "bitte",
    "nur",
    "diejenigen",
    "die",
];

/// And ends with.
const ENDINGS: [&str; 6] = ["instead", "please", "stattdessen", "bitte", "too", "?"];

/// Words that say that something takes the place of what was said.
const REPLACING: [&str; 8] = ["instead", "stattdessen", "now", "jetzt", "nun", "same", "dasselbe", "gleiche"];

/// Words that say that something is added to it.
const ADDING: [&str; 3] = ["also", "auch", "additionally"];

/// Makes a statement of a question, or, if it is none alone, of it and the one before. The second value is the whole question in the words of the grammar.
pub(crate) fn ask_after(
    before: Option<&str>,
    question: &str,
    setting: &Setting<'_>,
) -> (Outcome<Statement>, Option<String>) {
    let alone = ask(question, setting);
    let Outcome::NotUnderstood(_) = &alone else { return (alone, Some(question.to_owned())) };
    let Some(before) = before else { return (alone, None) };
    let Some(follow) = Follow::of(before, question, setting) else { return (alone, None) };
    match follow.read() {
        Some(Outcome::Asked(question)) => (Outcome::Asked(question), None),
        Some(made) => made_of(made, alone),
        None => (alone, None),
    }
}

type Made = (Outcome<Statement>, Option<String>);

fn made_of(read: Outcome<(Statement, String)>, alone: Outcome<Statement>) -> Made {
    match read {
        Outcome::Made(made) => {
            let (statement, sentence) = *made;
            (Outcome::Made(Box::new(statement)), Some(sentence))
        }
        _ => (alone, None),
    }
}

/// A question that goes on with another one.
struct Follow<'a> {
    /// The question before, without what ends it.
    before: &'a str,
    selection: Selection,
    /// What is said now, without the words that join it to what was said.
    text: &'a str,
    /// The same as the grammar hears it.
    heard: Vec<Token>,
    replaces: bool,
    adds: bool,
    setting: &'a Setting<'a>,
}

type Read = Option<Outcome<(Statement, String)>>;

impl<'a> Follow<'a> {
    fn of(before: &'a str, question: &'a str, setting: &'a Setting<'a>) -> Option<Self> {
        let names = Names::of(setting.known, setting.terms);
        let said = lexer::cut(question);
        let says = |words: &[&str]| said.iter().any(|token| words.iter().any(|word| token.is(word)));
        let (replaces, adds) = (says(&REPLACING), says(&ADDING));
        let inner = inner(&said);
        let (first, last) = (said.get(inner.start)?, said.get(inner.end.checked_sub(1)?)?);
        let text = question.get(first.span.start..last.span.end)?;
        let before = before.trim_end_matches(['?', '.', '!', ' ']);
        let selection = select(before, &spoken::hear(before, &names), &names).ok()?;
        // A word or two do not tell their language: the question before does.
        let whole = format!("{before} {text}");
        let heard = spoken::hear(&whole, &names);
        let heard = heard.into_iter().filter(|token| token.span.start > before.len()).collect();
        Some(Self { before, selection, text, heard, replaces, adds, setting })
    }

    fn read(&self) -> Read {
        if self.is_period() {
            return self.period();
        }
        if self.heard.first().is_some_and(|token| token.is("per") || token.is("by")) {
            return self.groups();
        }
        if let Some(count) = self.top() {
            return self.tried(&[format!("{}, the {count} highest", self.before)]);
        }
        self.condition()
    }

    fn is_period(&self) -> bool {
        let opens = self.heard.first().is_some_and(|token| !token.is("where") && !token.is("with"));
        let read = condition::test(&self.heard, 0, Family::Time);
        opens && read.is_ok_and(|(length, test)| length == self.heard.len() && !matches!(test, Test::Empty))
    }

    /// A period takes the place of the one before.
    fn period(&self) -> Read {
        let times = self.times();
        match times.as_slice() {
            [] => {
                let behind = format!("{} {}", self.before, self.text);
                let within = self.selection.group_words.as_ref().map(|groups| {
                    let start = self.start_of_groups(groups);
                    format!("{} {} {}", self.before[..start].trim_end(), self.text, &self.before[start..])
                });
                let both: Vec<String> = within.into_iter().chain([behind]).collect();
                self.tried(&both)
            }
            [only] => self.tried(&[self.with(only, self.text)]),
            _ => None,
        }
    }

    /// The words of conditions on dates and times.
    fn times(&self) -> Vec<Range<usize>> {
        let own = self.selection.conditions.iter();
        let theirs = self.selection.partners.iter().flat_map(|partners| &partners.conditions);
        let is_time = |test: &Test| {
            matches!(test, Test::During(_) | Test::Before(_) | Test::From(_) | Test::Until(_) | Test::After(_))
        };
        own.chain(theirs).filter(|one| is_time(&one.test)).map(|one| one.words.clone()).collect()
    }

    /// Groups take the place of those before, or stand beside them; which of both is asked if it isn't said.
    fn groups(&self) -> Read {
        let first = self.heard.get(1)?.span.start.checked_sub(self.before.len() + 1)?;
        let columns = self.text.get(first..)?;
        let Some(groups) = &self.selection.group_words else {
            let behind = format!("{} per {columns}", self.before);
            return self.tried(&[behind]);
        };
        let instead = self.with(groups, columns);
        let beside = self.with(groups, &format!("{} and {columns}", &self.before[groups.clone()]));
        match (self.replaces, self.adds) {
            (true, false) => self.tried(&[instead]),
            (false, true) => self.tried(&[beside]),
            _ => {
                let choices = [("instead", instead), ("beside", beside)].into_iter().filter_map(|(how, sentence)| {
                    let is_read = matches!(ask(&sentence, self.setting), Outcome::Made(_));
                    let text = match how {
                        "instead" => format!("per {columns} alone"),
                        _ => format!("per {} and {columns}", &self.before[groups.clone()]),
                    };
                    is_read.then_some(Choice { text, sentence })
                });
                let choices: Vec<Choice> = choices.collect();
                let text = format!("Should {columns} take the place of the groups before?");
                (!choices.is_empty()).then_some(Outcome::Asked(Question { text, choices }))
            }
        }
    }

    /// `top 3`, `the 3 highest`
    fn top(&self) -> Option<u64> {
        let heard: Vec<&Token> = self.heard.iter().filter(|token| !token.is("the")).collect();
        match heard.as_slice() {
            [top, count] if top.is("top") => ranks::count_of(count),
            [count, highest] if highest.is("highest") => ranks::count_of(count),
            _ => None,
        }
    }

    /// A condition narrows the rows; with `the same` or `instead` it takes the place of one on the same column.
    fn condition(&self) -> Read {
        let opens = ["where", "whose", "with", "without", "only"];
        let is_opened = self.heard.first().is_some_and(|token| opens.iter().any(|word| token.is(word)));
        let said = if is_opened { self.text.to_owned() } else { format!("where {}", self.text) };
        let behind = format!("{} {said}", self.before);
        let plain = format!("{} {}", self.before, self.text);
        let tried = self.tried(&[behind.clone(), plain]);
        let Some(Outcome::Made(made)) = &tried else { return tried };
        let names = Names::of(self.setting.known, self.setting.terms);
        let whole = select(&made.1, &spoken::hear(&made.1, &names), &names).ok()?;
        let added = whole.conditions.iter().filter(|one| one.words.start > self.before.len());
        let twice = added.filter_map(|new| {
            let is_equal = matches!(new.test, Test::Compare("=", _));
            let old = self.selection.conditions.iter().find(|old| old.place == new.place && old.test != new.test);
            old.filter(|old| self.replaces || (is_equal && matches!(old.test, Test::Compare("=", _))))
                .map(|old| (old, new))
        });
        match twice.collect::<Vec<_>>().as_slice() {
            [] => tried,
            [(old, new)] if self.replaces => {
                let said = made.1.get(new.words.clone())?;
                self.tried(&[self.with(&old.words, said)])
            }
            // No row has two values.
            _ => None,
        }
    }

    /// The question before with other words in the place of some.
    fn with(&self, words: &Range<usize>, others: &str) -> String {
        format!("{}{others}{}", &self.before[..words.start], &self.before[words.end..])
    }

    /// Where the word stands that leads to the groups.
    fn start_of_groups(&self, groups: &Range<usize>) -> usize {
        let said = lexer::cut(&self.before[..groups.start]);
        let words =
            ["per", "by", "for", "in", "each", "every", "je", "pro", "nach", "grouped", "broken", "down", "split"];
        let leads = |token: &&Token| words.iter().any(|word| token.is(word)) || token.is("the");
        said.iter().rev().take_while(leads).last().map_or(groups.start, |token| token.span.start)
    }

    /// The first of some sentences that is read.
    fn tried(&self, sentences: &[String]) -> Read {
        for sentence in sentences {
            match ask(sentence, self.setting) {
                Outcome::Made(statement) => return Some(Outcome::Made(Box::new((*statement, sentence.clone())))),
                Outcome::Asked(question) => return Some(Outcome::Asked(question)),
                _ => {}
            }
        }
        None
    }
}

/// The words between those that join a question to the one before.
fn inner(said: &[Token]) -> Range<usize> {
    let (mut start, mut end) = (0, said.len());
    let begins = |at: usize, phrase: &str| {
        let words = phrase.split(' ').enumerate();
        let length = phrase.split(' ').count();
        words.clone().all(|(ahead, word)| said.get(at + ahead).is_some_and(|token| token.is(word))).then_some(length)
    };
    let all = || OPENINGS.iter().chain(&ADDING);
    while let Some(length) = all().filter_map(|phrase| begins(start, phrase)).max() {
        start += length;
    }
    while end > start && ENDINGS.iter().chain(&ADDING).any(|word| said[end - 1].is(word)) {
        end -= 1;
    }
    start.min(end)..end
}
