//! German sentences: their words for the parts of the grammar, and the places where German puts them elsewhere.

use super::german_loads;
use super::lexer::Token;
use super::names::Names;
use super::spoken::replaced;

/// Endings that a German noun may have behind its stem.
pub(super) const ENDINGS: [&str; 7] = ["", "e", "en", "n", "es", "er", "ern"];

/// German stems of things that tables are often called by, folded, and their English names.
pub(super) const TABLES: [(&str, &[&str]); 30] = [
    ("bestellung", &["order"]),
    ("auftrag", &["order", "job"]),
    ("auftraeg", &["order", "job"]),
    ("kund", &["customer", "client"]),
    ("produkt", &["product"]),
    ("artikel", &["article", "product", "item"]),
    ("zahlung", &["payment"]),
    ("rechnung", &["invoice", "bill"]),
    ("benutzer", &["user"]),
    ("nutzer", &["user"]),
    ("konto", &["account"]),
    ("konten", &["account"]),
    ("lieferant", &["supplier", "vendor"]),
    ("mitarbeiter", &["employee", "staff"]),
    ("sendung", &["shipment"]),
    ("lieferung", &["delivery", "shipment"]),
    ("bewertung", &["review", "rating"]),
    ("mark", &["brand"]),
    ("kategori", &["category"]),
    ("adress", &["address"]),
    ("lager", &["warehouse"]),
    ("gutschein", &["coupon", "voucher"]),
    ("abteilung", &["department"]),
    ("maschin", &["machine"]),
    ("vertrag", &["contract"]),
    ("vertraeg", &["contract"]),
    ("patient", &["patient"]),
    ("termin", &["appointment"]),
    ("fahrzeug", &["vehicle"]),
    ("filial", &["store", "branch"]),
];

/// German stems of what columns are often called, folded, and their English names.
pub(super) const COLUMNS: [(&str, &[&str]); 11] = [
    ("land", &["country"]),
    ("laend", &["country"]),
    ("stadt", &["city"]),
    ("staedt", &["city"]),
    ("preis", &["price"]),
    ("menge", &["quantity", "qty"]),
    ("betrag", &["amount"]),
    ("nachname", &["last name", "surname"]),
    ("vorname", &["first name"]),
    ("gewicht", &["weight"]),
    ("gesamtbetrag", &["total", "total amount"]),
];

/// Words of the two languages that tell them apart.
const GERMAN: &str = " wie viele wieviele anzahl je pro der die das des dem und oder mit ohne welche welcher welches welchen zeige zeig nach jeden jede jeder \
im ist sind nicht alle aller haben hat kein keine keinen wurden wurde lade kopiere exportiere schreibe hänge summe durchschnitt durchschnittlicher \
durchschnittliche gibt gab bei denen deren dessen wann seit bis zum vor über unter mehr als täglich stündlich werktags von nur aus überschreiben ersetzen \
anhängen ersetze höchste höchsten sortiert absteigend mindestens höchstens zwischen wo gestern heute letzte letzten letzter dieser diesem diese ein eine einer \
und bitte nenne einem einen dasselbe jetzt auch neuesten teuersten ";
const ENGLISH: &str = " the of and or with without per how many which where is are show load copy every to into number count what who that by from at not have has \
all only sum average list average overwrite append now also instead just about those ";

/// What German phrases are in the words of the grammar.
const PHRASES: &[(&str, &str)] = &[
    ("bitte", ""),
    ("gibt|gab es", ""),
    ("haben|hatten wir", ""),
    ("mir|uns", ""),
    // How a question begins.
    ("wie viele", "how many"),
    ("wieviele", "how many"),
    ("wie hoch|groß ist|war", "what is"),
    ("was ist|war|sind|waren", "what is"),
    ("wann ist|war", "when is"),
    ("welche|welcher|welches|welchen", "which"),
    ("zeige|zeig|gib|nenne|liste", "show"),
    ("anzahl|zahl der|von|aller|an", "number of"),
    ("anzahl|zahl", "number of"),
    ("summe der|des|von|aller", "sum of"),
    ("summe", "sum of"),
    ("durchschnitt|mittelwert der|des|von|aller", "average of"),
    ("durchschnitt|mittelwert", "average of"),
    ("durchschnittliche|durchschnittlicher|durchschnittliches|durchschnittlichen", "average"),
    ("verschiedene|verschiedenen|unterschiedliche|unterschiedlichen", "different"),
    ("höchste|höchster|höchstes|höchsten|größte|größter|größtes|größten|maximale|maximaler", "highest"),
    ("niedrigste|niedrigster|niedrigsten|kleinste|kleinster|kleinsten|minimale|geringste|geringsten", "lowest"),
    ("meisten", "most"),
    ("wenigsten", "fewest"),
    ("neueste|neuesten|neuster|neuste|neusten|jüngste|jüngsten", "newest"),
    ("älteste|ältesten|früheste|frühesten", "oldest"),
    ("teuerste|teuersten", "priciest"),
    ("billigste|billigsten|günstigste|günstigsten", "cheapest"),
    ("schwerste|schwersten", "heaviest"),
    ("leichteste|leichtesten", "lightest"),
    ("letzte|letzten|letzter|letztes|vergangene|vergangenen", "last"),
    ("erste|ersten", "first"),
    // Parts.
    ("je|pro", "per"),
    ("mit", "with"),
    ("ohne", "without"),
    ("haben|hat|hatten|hatte", "with"),
    ("haben|hat|hatten|hatte|mit keine|keinen|kein|keinem|keiner", "without"),
    ("kein|keine|keinen", "no"),
    ("und", "and"),
    ("oder", "or"),
    ("bei denen", "where"),
    ("wo", "where"),
    ("deren|dessen", "whose"),
    ("nie|niemals|nichts", "never"),
    ("nicht", "not"),
    ("ist|sind|war|waren", "is"),
    ("leer|leere|leeren|leerem|leerer", "empty"),
    ("mehr|größer|höher|später als", "more than"),
    ("weniger|kleiner|niedriger|früher als", "less than"),
    ("mindestens", "at least"),
    ("höchstens|maximal", "at most"),
    ("mindestens eine|einer|einen|einem", "at least one"),
    ("genau", "exactly"),
    ("über", "over"),
    ("unter", "under"),
    ("zwischen", "between"),
    ("kosten|kostet", "cost"),
    ("auch", "also"),
    ("nur", "only"),
    ("aus dem jahr", "in"),
    ("aus", "from"),
    ("von", "of"),
    ("als", "as"),
    ("aller", "of all"),
    ("alle|allen|alles|sämtliche", "all"),
    ("sortiert nach", "sorted by"),
    ("absteigend sortiert", "sorted descending"),
    ("aufsteigend sortiert", "sorted ascending"),
    ("absteigend", "descending"),
    ("aufsteigend", "ascending"),
    // Times.
    ("im|in jahr|jahre", "in"),
    ("im|in|am|zum", "in"),
    ("seit|ab dem|der|den", "since"),
    ("seit|ab", "since"),
    ("vor dem|der|den", "before"),
    ("vor", "before"),
    ("nach dem", "after"),
    ("bis zum|zu", "until"),
    ("bis", "until"),
    ("diese|dieser|diesen|diesem|dieses", "this"),
    ("im|in diese|dieser|diesen|diesem|dieses", "in this"),
    ("heute", "today"),
    ("gestern", "yesterday"),
    // Pipelines.
    ("lade|laden", "load"),
    ("kopiere|kopieren", "copy"),
    ("exportiere|exportieren", "export"),
    ("schreibe|schreiben", "write"),
    ("synchronisiere", "sync"),
    ("hänge|füge", "append"),
    ("überschreiben|überschreibe|überschreibend", "overwrite"),
    ("überschreiben|überschreibe|ersetze|ersetzen sie|es|ihn", "overwrite it"),
    ("überschreiben|überschreibe|ersetze|ersetzen die tabelle", "overwrite it"),
    ("ersetzen|ersetze", "replace"),
    ("anhängen|hinzufügen", "append"),
    ("jedes mal", "each time"),
    ("prüfe dass", "check that"),
    ("prüfe , dass", "check that"),
    ("abbrechen|abbruch wenn", "fail if"),
    ("abbrechen|abbruch , wenn", "fail if"),
    ("warnen|warne|warnung wenn", "warn if"),
    ("warnen|warne|warnung , wenn", "warn if"),
    ("täglich", "daily"),
    ("stündlich", "hourly"),
    ("werktags", "every weekday"),
    ("jeden werktag", "every weekday"),
    ("jeden tag", "every day"),
    ("jede stunde", "every hour"),
    ("jeden morgen", "every morning"),
    ("jeden abend", "every evening"),
    ("jede nacht", "every night"),
    ("jeden montag", "every monday"),
    ("jeden dienstag", "every tuesday"),
    ("jeden mittwoch", "every wednesday"),
    ("jeden donnerstag", "every thursday"),
    ("jeden freitag", "every friday"),
    ("jeden samstag", "every saturday"),
    ("jeden sonntag", "every sunday"),
    ("am 1. jeden|jedes monats", "on the 1st of every month"),
    ("am ersten jeden|jedes monats", "on the 1st of every month"),
    ("um", "at"),
    ("uhr", ""),
    ("mitternacht", "midnight"),
];

/// What has happened, at the end of a German sentence.
const DONE: [(&str, &str); 8] = [
    ("bestellt", "ordered"),
    ("angelegt", "created"),
    ("erstellt", "created"),
    ("erfasst", "created"),
    ("eröffnet", "opened"),
    ("aufgegeben", "placed"),
    ("bewertet", "reviewed"),
    ("registriert", "registered"),
];

/// Words before which no genitive stands.
const BEFORE: &str = " with without per and or of in where whose not the which show since before after until between over under from as by to into load copy is , ";

/// Whether a sentence has more German words than English ones.
pub(super) fn is_german(said: &[Token]) -> bool {
    let count = |words: &str| {
        said.iter()
            .filter(|token| !token.is_quoted && !token.is_sign())
            .filter(|token| words.contains(&format!(" {} ", token.text.to_lowercase())))
            .count()
    };
    count(GERMAN) > count(ENGLISH)
}

/// A German sentence in the words of the grammar.
pub(super) fn translated(said: Vec<Token>, names: &Names<'_>) -> Vec<Token> {
    let said = ordered(said);
    let said = numbered(&said);
    let said = directed(replaced(&said, &[PHRASES, german_loads::PHRASES].concat()));
    articles(&said, names)
}

fn word(text: &str, like: &Token) -> Token {
    Token::new(text, like.span.clone(), false)
}

fn is_any(token: Option<&Token>, words: &[&str]) -> bool {
    token.is_some_and(|token| !token.is_quoted && words.contains(&token.text.to_lowercase().as_str()))
}

/// Verbs at the end of a clause stand where the grammar has them.
fn ordered(mut said: Vec<Token>) -> Vec<Token> {
    done(&mut said);
    let mut at = 0;
    while at < said.len() {
        let ends = |place: usize| {
            said.get(place).is_none_or(|token| token.is_sign() && !token.is_quoted)
                || is_any(said.get(place), &["und", "oder", "nach"])
        };
        if is_any(said.get(at), &["enthält", "enthalten"]) && at > 1 && ends(at + 1) {
            said[at] = word("contains", &said[at]);
            said.swap(at - 1, at);
        } else if at > 2 && is_any(said.get(at - 2), &["mit"]) && ends(at + 1) {
            let shape = match () {
                () if is_any(said.get(at), &["beginnt", "beginnen", "anfängt", "anfangen"]) => Some("starts"),
                () if is_any(said.get(at), &["endet", "enden"]) => Some("ends"),
                () => None,
            };
            if let Some(shape) = shape {
                let value = said[at - 1].clone();
                said[at - 2] = word(shape, &said[at - 2]);
                said[at - 1] = word("with", &said[at]);
                said[at] = value;
            }
        } else if is_any(said.get(at), &["ist", "sind", "war", "waren"]) && at > 1 && ends(at + 1) {
            said.remove(at);
            continue;
        } else if is_any(said.get(at), &["auf", "an", "hinzu", "aus"]) && at > 0 && ends(at + 1) {
            // The other half of a verb: `liste … auf`.
            said.remove(at);
            continue;
        }
        at += 1;
    }
    said
}

/// `haben letzte Woche bestellt` is `ordered last week`.
fn done(said: &mut Vec<Token>) {
    let last = (0..said.len()).rev().find(|at| !said[*at].is_sign() || said[*at].is_quoted);
    let Some(last) = last else { return };
    let Some((_, english)) = DONE.iter().find(|(german, _)| is_any(said.get(last), &[german])) else { return };
    let helper = (0..last).rev().find(|at| is_any(said.get(*at), &["haben", "hat", "wurden", "wurde", "sind"]));
    let Some(helper) = helper else { return };
    if is_any(said.get(last - 1), &["nie", "niemals", "nichts"]) {
        said[last] = word(english, &said[last]);
        said.remove(helper);
    } else {
        said[helper] = word(english, &said[last]);
        said.remove(last);
    }
}

/// `alle 10 Minuten`, and the one row of `des billigsten Produkts` and `die neueste Bestellung`.
fn numbered(said: &[Token]) -> Vec<Token> {
    const UNITS: [(&[&str], &str); 3] =
        [(&["minute", "minuten"], "minutes"), (&["stunde", "stunden"], "hours"), (&["sekunden"], "seconds")];
    const STEMS: [&str; 10] =
        ["neuest", "neust", "jüngst", "ältest", "teuerst", "billigst", "günstigst", "letzt", "erst", "schwerst"];
    let mut heard: Vec<Token> = Vec::new();
    for (at, token) in said.iter().enumerate() {
        let next = said.get(at + 1);
        let unit = |place: usize| UNITS.iter().find(|(words, _)| is_any(said.get(place), words)).map(|(_, unit)| *unit);
        let is_number = |token: &Token| token.text.parse::<u64>().is_ok();
        if is_any(Some(token), &["alle"]) && next.is_some_and(is_number) && unit(at + 2).is_some() {
            heard.push(word("every", token));
            continue;
        }
        if at > 0
            && is_number(&said[at - 1])
            && let Some(unit) = unit(at)
        {
            heard.push(word(unit, token));
            continue;
        }
        let lower = token.text.to_lowercase();
        let ending = STEMS.iter().find_map(|stem| lower.strip_prefix(stem)).filter(|_| !token.is_quoted);
        let is_period = next.and_then(super::period::unit).is_some();
        let one = match ending {
            Some("e") => true,
            Some("en") => at > 0 && is_any(said.get(at - 1), &["des", "das", "dem"]),
            _ => false,
        };
        if one && !is_period && at > 0 && !is_number(&said[at - 1]) {
            heard.push(word("1", token));
        }
        heard.push(token.clone());
    }
    heard
}

/// `nach` leads to a target, to a day, or to what rows are grouped by.
fn directed(mut said: Vec<Token>) -> Vec<Token> {
    for at in 0..said.len() {
        let leads = |word: &str| said[at].is(word) && said.get(at + 1).is_some();
        let is_name = said.get(at + 1).is_some_and(|next| next.text.contains('.') && next.text.parse::<f64>().is_err());
        if leads("nach") {
            let is_day = said.get(at + 1).is_some_and(|next| next.text.starts_with(|c: char| c.is_ascii_digit()));
            said[at] = word(
                if is_day {
                    "after"
                } else if is_name {
                    "to"
                } else {
                    "by"
                },
                &said[at],
            );
        } else if (leads("an") || leads("in")) && is_name && !is_date(&said[at + 1]) {
            said[at] = word("to", &said[at]);
        }
    }
    said
}

fn is_date(token: &Token) -> bool {
    token.text.starts_with(|c: char| c.is_ascii_digit())
}

/// Articles, and the genitive before a table: `Nachname der Kunden`.
fn articles(said: &[Token], names: &Names<'_>) -> Vec<Token> {
    let mut heard: Vec<Token> = Vec::new();
    for (at, token) in said.iter().enumerate() {
        let is = |words: &[&str]| is_any(Some(token), words);
        let is_genitive = is(&["der", "des", "einer", "eines"]);
        let names_table = (at + 1..said.len().min(at + 4)).any(|place| names.table(&said[place..]).is_some());
        let behind_name = heard
            .last()
            .is_some_and(|before| before.is_quoted || !BEFORE.contains(&format!(" {} ", before.text.to_lowercase())));
        if is_genitive && names_table && behind_name {
            heard.push(word("of", token));
        } else if is_genitive
            || is(&["die", "das", "den", "dem", "ein", "eine", "einen", "einem", "ihr", "ihre", "ihren"])
        {
            heard.push(word("the", token));
        } else {
            heard.push(token.clone());
        }
    }
    heard
}
