//! Files that were written from a draft carry its id in their first line.

use std::borrow::Cow;

use headwater_pipelines::document::Document;
use headwater_store::state::DraftState;
use headwater_store::{DraftRow, StoreErrorKind, Suggest};
use uuid::Uuid;

use crate::{OperationError, Operations, Result};

/// What such a line begins with. The id follows.
const MARK: &str = "# headwater draft ";

/// The text of a file that is written from a draft.
pub fn draft_file(draft: Uuid, text: &str) -> String {
    format!("{MARK}{draft}\n{text}")
}

/// The id that a file carries, and the rest of its text. The line may have been moved: it counts anywhere above what is no comment.
fn parts(text: &str) -> (Option<&str>, Cow<'_, str>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let said = line.trim_start_matches('\u{feff}').trim();
        if let Some(id) = said.strip_prefix(MARK.trim_end()) {
            let (above, below) = (&text[..start], &text[start + line.len()..]);
            let body = if above.is_empty() { Cow::Borrowed(below) } else { Cow::Owned(format!("{above}{below}")) };
            return (Some(id.trim()), body);
        }
        if !said.is_empty() && !said.starts_with('#') {
            break;
        }
        start += line.len();
    }
    (None, Cow::Borrowed(text))
}

/// The text of a spec without the line that says which draft it is: what a version keeps.
pub fn body(text: &str) -> Cow<'_, str> {
    parts(text).1
}

impl Operations {
    /// The draft whose text a file has, byte for byte.
    pub(crate) async fn unedited_draft(&self, document: &Document) -> Result<Option<DraftRow>> {
        let (id, body) = parts(document.stored_text());
        Ok(self.named_draft(id).await?.filter(|row| row.spec.as_ref().is_some_and(|spec| spec.text == body)))
    }

    /// Refuses a file that carries a draft's id, unless a person has approved exactly its text: as that draft, or by applying the file.
    pub(crate) async fn must_be_approved(&self, document: &Document) -> Result<()> {
        let (Some(id), body) = parts(document.stored_text()) else { return Ok(()) };
        let draft = self.named_draft(Some(id)).await?;
        let is_same = draft.as_ref().and_then(|row| row.spec.as_ref()).is_some_and(|spec| spec.text == body);
        if is_same && draft.as_ref().is_some_and(|row| row.state == DraftState::Approved) {
            return Ok(());
        }
        if let Some(spec) = &document.spec
            && self.is_current(&spec.name, &body).await?
        {
            return Ok(());
        }
        let file = &document.source.name;
        Err(match draft {
            Some(row) if is_same && row.state == DraftState::Open => {
                OperationError::invalid(format!("{file} is draft {}, which nobody has approved", row.id))
                    .hint("approve the draft, or read the file and apply it")
                    .suggest(Suggest::ApproveDraft { draft: row.id })
            }
            Some(row) if is_same => OperationError::invalid(format!("{file} is draft {}, which is discarded", row.id))
                .hint("read the file and apply it if you want it all the same")
                .suggest(Suggest::Apply),
            Some(row) => OperationError::invalid(format!(
                "{file} is not draft {} any more: it was edited, and nobody has approved what it says now",
                row.id
            ))
            .hint("read the file and apply it: that approves it as a new spec")
            .suggest(Suggest::Apply),
            None => OperationError::invalid(format!("{file} is a draft that is not stored here: '{}'", shown(id)))
                .hint("read the file and apply it: that approves it as a new spec")
                .suggest(Suggest::Apply),
        })
    }

    async fn named_draft(&self, id: Option<&str>) -> Result<Option<DraftRow>> {
        match id.and_then(|id| Uuid::parse_str(id).ok()) {
            Some(id) => Ok(self.workspace.draft_if_any(id).await?),
            None => Ok(None),
        }
    }

    /// Whether the approved version of a pipeline has this text.
    pub(super) async fn is_current(&self, pipeline: &str, text: &str) -> Result<bool> {
        match self.workspace.current_version(pipeline).await {
            Ok(version) => Ok(version.spec_text == text),
            Err(error) if error.kind == StoreErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The beginning of what a file has in the place of an id.
fn shown(id: &str) -> String {
    id.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> (Option<&str>, String) {
        let (id, body) = parts(text);
        (id, body.into_owned())
    }

    #[test]
    fn the_line_of_a_draft_is_no_part_of_the_spec() {
        let id = Uuid::from_u128(7);
        let file = draft_file(id, "name: a\n");
        assert_eq!(seen(&file), (Some(id.to_string().as_str()), "name: a\n".to_owned()));
        assert_eq!((body(&file), body("name: a\n")), ("name: a\n".into(), "name: a\n".into()));
    }

    #[test]
    fn a_line_that_was_moved_among_comments_still_counts_and_the_file_is_an_edited_one() {
        for before in ["\n", " ", "\u{feff}", "# Licence: ours\n\n", "\t\n"] {
            let (id, body) = seen_owned(&format!("{before}# headwater draft 7\nname: a\n"));
            assert_eq!(id.as_deref(), Some("7"), "{before:?}");
            assert!(body.ends_with("name: a\n"), "{body:?}");
        }
    }

    fn seen_owned(text: &str) -> (Option<String>, String) {
        let (id, body) = parts(text);
        (id.map(str::to_owned), body.into_owned())
    }

    #[test]
    fn a_line_further_down_or_without_an_id_names_no_stored_draft() {
        assert_eq!(seen("name: a\n# headwater draft 7\n").0, None);
        assert_eq!(seen("# headwater draft nonsense\r\nname: a\n"), (Some("nonsense"), "name: a\n".to_owned()));
        assert_eq!(seen("# headwater draft "), (Some(""), String::new()));
    }
}
