//! `headwater apply`: specs become their pipelines' approved versions.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use headwater_pipelines::schedule;

use crate::context::Context;
use crate::failure::{Shown, hinted};
use crate::output;
use crate::sources::{Source, spec_files};

/// Everything is checked before anything is applied.
pub(super) async fn apply(context: &Context, path: &Path) -> Result<ExitCode> {
    let files = spec_files(path)?;
    if files.is_empty() {
        return Err(hinted(format!("{} holds no specs", path.display()), "specs end in .yaml or .yml"));
    }
    let mut sources = Vec::new();
    for file in &files {
        let source = Source::load(context, file).await?;
        source.show_diagnostics();
        sources.push(source);
    }
    if sources.iter().any(Source::has_errors) {
        return Err(Shown.into());
    }
    for source in &sources {
        for name in source.store_connections(context).await? {
            output::line(&format!("connection {name} stored"));
        }
        let schedule = source.document.spec.as_ref().and_then(|spec| spec.schedule.as_ref());
        let version = context.workspace.apply(&source.version()?, schedule).await?;
        let when = schedule.map_or_else(|| "no schedule".to_owned(), schedule::in_words);
        output::line(&format!("pipeline {} is at version {} ({when})", version.pipeline, version.number));
    }
    Ok(ExitCode::SUCCESS)
}
