//! Checks: rules about the rows of a dataset.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MaxRejected;

/// A barrier that tests its input's rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckTask {
    /// The dataset under test.
    pub input: String,
    /// What must hold.
    pub rules: Vec<Rule>,
    /// What a violation does.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Under `quarantine`: the largest part of the rows of a load that may be set aside without failing it, e.g. `1%` or `100`. If absent 1%, or 100 rows if those are more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rejected: Option<MaxRejected>,
}

/// What a violated rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The stage fails; nothing is committed.
    #[default]
    Fail,
    /// The violations are counted and shown.
    Warn,
    /// The offending rows are set aside, the rest goes on.
    Quarantine,
}

/// One rule of a check: exactly one kind is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What the rule is called in messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// None of these columns is NULL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_null: Option<Vec<String>>,
    /// No two rows agree in all these columns (NULLs don't count as equal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique: Option<Vec<String>>,
    /// The column holds only these values (or NULL).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_values: Option<Values>,
    /// The column lies in a range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    /// A SQL condition that is true (or NULL) for every row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
}

/// The one kind that a [`Rule`] sets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RuleKind<'a> {
    /// See [`Rule::not_null`].
    NotNull(&'a [String]),
    /// See [`Rule::unique`].
    Unique(&'a [String]),
    /// See [`Rule::accepted_values`].
    AcceptedValues(&'a Values),
    /// See [`Rule::sql`].
    Sql(&'a str),
}

impl Rule {
    /// The rule's kind; `None` when none or several are set (which `plan` refuses) or it does not execute yet.
    pub fn kind(&self) -> Option<RuleKind<'_>> {
        let kinds = [
            self.not_null.as_deref().map(RuleKind::NotNull),
            self.unique.as_deref().map(RuleKind::Unique),
            self.accepted_values.as_ref().map(RuleKind::AcceptedValues),
            self.sql.as_deref().map(RuleKind::Sql),
        ];
        let mut set = kinds.into_iter().flatten();
        let first = set.next()?;
        set.next().is_none().then_some(first)
    }

    /// The name given, or one made from the kind and its columns.
    pub fn label(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        match self.kind() {
            Some(RuleKind::NotNull(columns)) => format!("not_null({})", columns.join(", ")),
            Some(RuleKind::Unique(columns)) => format!("unique({})", columns.join(", ")),
            Some(RuleKind::AcceptedValues(values)) => format!("accepted_values({})", values.column),
            Some(RuleKind::Sql(sql)) => sql.to_owned(),
            None => "rule".to_owned(),
        }
    }
}

/// A column and the values it may hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// The column.
    pub column: String,
    /// Strings, numbers or booleans.
    pub values: Vec<serde_json::Value>,
}

/// A column and its bounds, both inclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The column.
    pub column: String,
    /// Lower bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<serde_json::Value>,
    /// Upper bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<serde_json::Value>,
}
