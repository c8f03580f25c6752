//! The members of a message, for a look at what it has.

use super::Refusal;
use super::scan::Scan;

/// Names and values as they are written.
pub(crate) fn members(message: &[u8]) -> Result<Vec<(String, &[u8])>, Refusal> {
    let refused = |at: usize, reason| Refusal { field: None, at, reason };
    std::str::from_utf8(message).map_err(|error| refused(error.valid_up_to(), "the message is not UTF-8"))?;
    let mut scan = Scan::new(message);
    let mut found = Vec::new();
    if !scan.take(b'{') {
        return Err(refused(scan.at, "the message is not a JSON object"));
    }
    let mut ended = scan.take(b'}');
    while !ended {
        if scan.next() != Some(b'"') {
            return Err(refused(scan.at, scan.unexpected("the name of a field is missing here")));
        }
        let mut name = Vec::new();
        scan.string().map_err(|reason| refused(scan.at, reason))?.append_to(&mut name);
        if !scan.take(b':') {
            return Err(refused(scan.at, scan.unexpected("a colon is missing here")));
        }
        scan.next();
        let start = scan.at;
        scan.skip().map_err(|reason| refused(scan.at, reason))?;
        found.push((String::from_utf8_lossy(&name).into_owned(), scan.since(start)));
        ended = scan.take(b'}');
        if !ended && !scan.take(b',') {
            return Err(refused(scan.at, scan.unexpected("a comma or the end of the object is missing here")));
        }
    }
    match scan.next() {
        None => Ok(found),
        Some(_) => Err(refused(scan.at, "something stands behind the object")),
    }
}
