//! Files that were written from a draft carry its id in their first line.

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

/// The id that a file carries, and the rest of its text.
fn parts(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix(MARK).map(|rest| rest.split_once('\n').unwrap_or((rest, ""))) {
        Some((id, body)) => (Some(id.trim()), body),
        None => (None, text),
    }
}

/// The text of a spec without the line that says which draft it is: what a version keeps.
pub fn body(text: &str) -> &str {
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
            && self.is_current(&spec.name, body).await?
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
    async fn is_current(&self, pipeline: &str, text: &str) -> Result<bool> {
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

    #[test]
    fn the_line_of_a_draft_is_no_part_of_the_spec() {
        let id = Uuid::from_u128(7);
        let file = draft_file(id, "name: a\n");
        assert_eq!(parts(&file), (Some(id.to_string().as_str()), "name: a\n"));
        assert_eq!((body(&file), body("name: a\n")), ("name: a\n", "name: a\n"));
    }

    #[test]
    fn a_line_further_down_or_without_an_id_names_no_stored_draft() {
        assert_eq!(parts("name: a\n# headwater draft 7\n").0, None);
        assert_eq!(parts("# headwater draft nonsense\r\nname: a\n"), (Some("nonsense"), "name: a\n"));
        assert_eq!(parts("# headwater draft "), (Some(""), ""));
    }
}
