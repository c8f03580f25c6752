//! Spec files: read, planned and checked as one.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use headwater_engine::check::Checked;
use headwater_pipelines::diagnostic::{Diagnostic, Severity, has_errors};
use headwater_pipelines::document::Document;
use headwater_pipelines::plan::{self, Planned};
use headwater_store::NewVersion;

use crate::context::{Context, settings_of};
use crate::failure::Shown;
use crate::output;

/// A spec file after all checks.
pub(crate) struct Source {
    pub(crate) document: Document,
    pub(crate) planned: Planned,
    pub(crate) checked: Checked,
    spec: serde_json::Value,
}

impl Source {
    /// Reads, plans and checks a file. Mistakes are in `checked.diagnostics`.
    pub(crate) async fn load(context: &Context, path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} can't be read", path.display()))?;
        let document = Document::from_bytes(path.display().to_string(), bytes);
        let planned = plan::plan(&document, &context.connection_names().await?);
        let names = planned.works.values().flat_map(plan::Work::connections).collect();
        let mut settings = context.settings(&names).await?;
        if let Some(spec) = &document.spec {
            settings.extend(spec.connections.iter().map(|(name, connection)| (name.clone(), settings_of(connection))));
        }
        let checked = context.engine.check(&document, &planned, settings).await?;
        let spec = serde_json::to_value(document.stored_spec())?;
        Ok(Self { document, planned, checked, spec })
    }

    /// The same, ending the command if anything is wrong.
    pub(crate) async fn load_valid(context: &Context, path: &Path) -> Result<Self> {
        let source = Self::load(context, path).await?;
        source.show_diagnostics();
        if source.has_errors() { Err(Shown.into()) } else { Ok(source) }
    }

    pub(crate) fn has_errors(&self) -> bool {
        has_errors(&self.checked.diagnostics) || self.planned.plan.is_none()
    }

    /// Prints what is wrong on standard error, with a count.
    pub(crate) fn show_diagnostics(&self) {
        let diagnostics = &self.checked.diagnostics;
        if diagnostics.is_empty() {
            return;
        }
        let text = self.document.source.render(diagnostics, output::color(), output::width().min(120));
        output::error_line(text.trim_end());
        let count = |severity: Severity| diagnostics.iter().filter(|d: &&Diagnostic| d.severity == severity).count();
        let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        output::error_line(&format!("{}, {}", plural(errors, "error"), plural(warnings, "warning")));
    }

    /// What the store keeps of it. Only for a source without errors.
    pub(crate) fn version(&self) -> Result<NewVersion<'_>> {
        let plan = self.planned.plan.as_ref().context("the spec has mistakes")?;
        Ok(NewVersion { spec_text: self.document.stored_text(), spec: &self.spec, plan })
    }

    /// Stores the connections that the file brings.
    pub(crate) async fn store_connections(&self, context: &Context) -> Result<Vec<String>> {
        let mut stored = Vec::new();
        for (name, connection) in self.document.spec.iter().flat_map(|spec| &spec.connections) {
            let settings = settings_of(connection);
            context.put_connection(name, &settings.connector, &settings.settings).await?;
            stored.push(name.clone());
        }
        Ok(stored)
    }
}

/// The spec files of a folder, sorted; a file stands for itself.
pub(crate) fn spec_files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(|| format!("{} can't be read", path.display()))? {
        let path = entry?.path();
        if is_spec(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a name is that of a spec file.
pub(crate) fn is_spec(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
