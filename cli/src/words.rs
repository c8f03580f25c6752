//! What operations suggest, in the words of the command line.

use headwater_operations::Suggest;

/// The command, or the option, that does what is suggested.
pub(crate) fn suggestion(suggest: &Suggest) -> String {
    match suggest {
        Suggest::AddConnection { name } => {
            format!("headwater connections add {} LOCATION", name.as_deref().unwrap_or("NAME"))
        }
        Suggest::ListConnections => "headwater connections list".to_owned(),
        Suggest::ShowCatalog { connection } => format!("headwater connections catalog {connection}"),
        Suggest::RefreshCatalog { connection } => format!("headwater connections catalog {connection} --refresh"),
        Suggest::Apply => "headwater apply FILE".to_owned(),
        Suggest::Run => "headwater run FILE".to_owned(),
        Suggest::ListPipelines => "headwater pipelines list".to_owned(),
        Suggest::ListRuns => "headwater runs list".to_owned(),
        Suggest::ShowRun { run } => format!("headwater runs show {run}"),
        Suggest::CancelRun { run } => format!("headwater runs cancel {run}"),
        Suggest::Rerun { run, all: false } => format!("headwater runs rerun {run}"),
        Suggest::Rerun { run, all: true } => format!("headwater runs rerun {run} --all"),
        Suggest::ListLimits => "headwater limits list".to_owned(),
        Suggest::Pause { scope } => format!("headwater pause {scope}"),
        Suggest::ListGlossary => "headwater glossary list".to_owned(),
        Suggest::ListQuestions => "headwater questions list".to_owned(),
        Suggest::ListConversations => "headwater conversations list".to_owned(),
        Suggest::ListRejects => "headwater rejects list".to_owned(),
        Suggest::ShowStream { pipeline } => format!("headwater streams show {pipeline}"),
        Suggest::ListDrafts => "headwater drafts list".to_owned(),
        Suggest::ShowDraft { draft } => format!("headwater drafts show {draft}"),
        Suggest::ApproveDraft { draft } => {
            format!("headwater drafts approve {draft}, or headwater apply FILE once you have read the file")
        }
        Suggest::ListSchedules => "headwater schedules list".to_owned(),
        Suggest::Doctor => "headwater admin doctor".to_owned(),
        Suggest::Migrate => "headwater admin migrate".to_owned(),
        Suggest::AllowVariable { name } => {
            format!("--allow-variable {name}, or allowed_variables = [\"{name}\"] in headwater.toml")
        }
        Suggest::GiveInterval => "--interval 2026-11-01..2026-11-02".to_owned(),
        Suggest::GiveParameter { name } => format!("--param {name}=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use headwater_operations::Scope;

    use super::*;

    #[test]
    fn every_suggested_command_is_one_that_the_command_line_takes() {
        let run = uuid::Uuid::nil();
        let all = [
            Suggest::AddConnection { name: None },
            Suggest::AddConnection { name: Some("shop".to_owned()) },
            Suggest::ListConnections,
            Suggest::ShowCatalog { connection: "shop".to_owned() },
            Suggest::RefreshCatalog { connection: "shop".to_owned() },
            Suggest::Apply,
            Suggest::Run,
            Suggest::ListPipelines,
            Suggest::ListRuns,
            Suggest::ShowRun { run },
            Suggest::CancelRun { run },
            Suggest::Rerun { run, all: false },
            Suggest::Rerun { run, all: true },
            Suggest::ListLimits,
            Suggest::Pause { scope: Scope::Queue("big".to_owned()) },
            Suggest::ListGlossary,
            Suggest::ListQuestions,
            Suggest::ListConversations,
            Suggest::ListRejects,
            Suggest::ShowStream { pipeline: "events".to_owned() },
            Suggest::ListDrafts,
            Suggest::ShowDraft { draft: run },
            Suggest::ListSchedules,
            Suggest::Doctor,
            Suggest::Migrate,
        ];
        for suggest in &all {
            let command = suggestion(suggest);
            assert!(crate::args::Args::try_parse_from(command.split(' ')).is_ok(), "{command}");
        }
        for suggest in [Suggest::GiveInterval, Suggest::GiveParameter { name: "country".to_owned() }] {
            let command = format!("headwater run orders {}", suggestion(&suggest));
            assert!(crate::args::Args::try_parse_from(command.split(' ')).is_ok(), "{command}");
        }
    }
}
