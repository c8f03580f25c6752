//! Every code that a diagnostic can carry, with what `headwater explain CODE` prints.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    ($($variant:ident $name:literal $title:literal $text:literal)*) => {
        /// What kind of finding a diagnostic is. Codes are stable: scripts match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $title] $variant),* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// As it is printed and matched on.
            pub fn as_str(self) -> &'static str { match self { $(Code::$variant => $name),* } }

            /// One line.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title),* } }

            /// What it means and what to do.
            pub fn explanation(self) -> &'static str { match self { $(Code::$variant => $text),* } }
        }
    };
}

codes! {
    YamlSyntax "yaml_syntax" "The file is not valid YAML"
        "The YAML parser stopped here and read nothing after this place. Common causes: a tab in the indentation, a missing space behind a colon, a quote or bracket that is not closed, a value with ': ' in it that needs quotes."
    DuplicateKey "duplicate_key" "A key appears twice in one mapping"
        "Two entries of one mapping have the same key, e.g. two tasks of the same name in one group. The first one was kept for the other checks. Rename or remove one."
    YamlFeature "yaml_feature" "A feature of YAML that specs do not use"
        "Tags (!!str), anchors (&name), aliases (*name) and merge keys (<<) are refused: what a spec means must be readable where it stands. Write values out; put text that looks like a number into quotes."
    NotASpec "not_a_spec" "The file is not a pipeline's spec"
        "A spec is YAML text with at least the fields `name` and `tasks`. `headwater apply` accepts a file that holds `connections` alone; such a file can't be planned or run."
    TooMany "too_many" "More mistakes than are reported"
        "So many mistakes were found that the rest of the file was not judged. Correct the ones that are reported and try again."
    UnknownField "unknown_field" "A field that does not exist here"
        "Specs are strict: a misspelled field would otherwise be silently ignored. `headwater schema` prints the JSON Schema with all fields; editors use it to complete them."
    WrongType "wrong_type" "A value of the wrong type"
        "The value can't be read as what this field expects, e.g. a number where text is needed. Text that looks like a number, date or boolean needs quotes in YAML."
    BadValue "bad_value" "A value that this field can't have"
        "The value has the right type, but is empty or outside the allowed range. The message says what is allowed."
    MissingField "missing_field" "A required field is missing"
        "Add the field that the message names."
    BadName "bad_name" "A name with characters that are not allowed"
        "Names of pipelines, tasks, groups and parameters begin with a letter and hold letters, digits and underscores, at most 63 characters, so that SQL can use them unquoted. Labels may begin with any of these and hold dashes and dots too."
    TaskKind "task_kind" "A task has no kind, or more than one"
        "A task has exactly one of extract, transform, check, load, pipeline, http, command, approve, notify, wait and group."
    NotAllowed "not_allowed" "A field that this kind of task does not accept"
        "Dataset tasks (extract, transform, check) are lazy tables that run inside the stage of whatever reads them: they accept needs, queue, labels and description. when, for_each, retry, timeout and priority belong to action tasks and groups."
    NotYet "not_yet" "Part of the format that does not execute yet"
        "The field is part of the format, and this version of Headwater does not execute it. It is refused so that nothing is silently ignored."
    UnknownName "unknown_name" "A name that nothing has"
        "A name is looked for among the task's siblings, then outward group by group; `group.task` reaches into a group; then `connection.schema.table` reads a connection directly."
    AmbiguousName "ambiguous_name" "A name that several tasks or tables match"
        "An unquoted name in SQL matches exactly, then in lower case, then case-insensitively if only one name does. Write it in double quotes with its exact case."
    NotADataset "not_a_dataset" "The name is a task that holds no rows"
        "Rows come from extract, transform and check tasks. To run after a load, a wait or a group, use `needs`."
    NameTaken "name_taken" "A task or group has the name of a connection"
        "The same name would mean a task in one place and a connection in another. Rename the task."
    Cycle "cycle" "Tasks that wait for each other"
        "Following data and `needs`, a task depends on itself, so none of them could ever start. Remove one of the edges named in the message."
    SqlSyntax "sql_syntax" "SQL that does not parse"
        "Transforms are SELECT statements in the dialect of Postgres, run by DataFusion."
    SqlStatement "sql_statement" "Not one SELECT"
        "A transform is exactly one SELECT (WITH and UNION included). Effects belong in loads."
    UnknownParameter "unknown_parameter" "A parameter that is not declared"
        "$name refers to a parameter under `params`, or to the run's $run_id, $interval_start or $interval_end."
    BadParameter "bad_parameter" "A parameter whose name or default does not fit"
        "A default has the declared type. A pipeline with a schedule needs a default for every parameter, because a scheduled run is given no values. The names of the run's own values (run_id, interval_start, interval_end) are taken."
    BadSchedule "bad_schedule" "A schedule that can't fire, or not as it says"
        "Give either `cron` (five POSIX fields: minute, hour, day of month, month, day of week) or `every` (e.g. 15m), and an IANA time zone such as Europe/Berlin. `end` is later than `start`, with a time of the schedule between them; `jitter` is shorter than the distance between two fires; `max_catchup` belongs to `catchup: all` and `max_queued` to `overlap: queue`, each from 1 to 1000. `headwater schedules preview FILE` shows the times. As a warning: two of its fields work against each other."
    BadStream "bad_stream" "A stream that could not follow its sources"
        "A pipeline with `stream` runs until it is stopped, and each of its loads commits what is new again and again. So each load follows at least one extract with a `cursor`; nothing waits for a load; there are no other actions, no schedule, no `$interval_start` and no parameter without a default. `every` is from 100ms to 1h."
    BadRule "bad_rule" "A check rule without a kind, or with several"
        "A rule has exactly one of not_null, unique, accepted_values, range and sql."
    BadLoad "bad_load" "A load whose mode and fields don't fit together"
        "upsert, insert_new, delete_insert and scd2 need keys; append and overwrite accept none. A load of several tables has {{ table }} in `into`, and takes keys from the catalog. Under `schema` a key can't be added, and a partition column can neither be added nor changed."
    BadExtract "bad_extract" "An extract that names no source, or two"
        "An extract has `from`, or `tables` for several tables at once, or `connection` and `query` together. The patterns of `tables` are those of one connection, and only the last part of a name can be a pattern. A load with {{ table }} in `into` takes them all."
    BadCursor "bad_cursor" "A cursor that would lose rows, load them twice, or mean nothing"
        "An extract with `cursor` reads what its load does not hold yet. So the rows behind it may be filtered, computed and joined one by one, but not counted, sorted out, numbered or limited together with rows that earlier runs have read; they are appended or merged by keys, and never replace a table. Views, foreign tables and queries need a `lag` and a load by keys."
    UnknownConnection "unknown_connection" "A connection that does not exist"
        "`headwater connections list` shows what there is; `headwater connections add NAME LOCATION` adds one; a file can bring its own under `connections:`."
    LiteralSecret "literal_secret" "A secret that is written into the file"
        "Passwords, keys and tokens of `connections` belong in the environment: write ${NAME} instead, which is resolved where the connection is opened. `headwater connections add` stores a literal secret encrypted, outside of any file. Anywhere else a spec is stored as it is written, so a secret there (a password in a URL, the value of a field such as `token`) is an error: put it into a connection and write the connection's name. In a description or a comment of SQL it is a warning, and the secret is masked."
    UnknownTable "unknown_table" "A table that the connection does not have"
        "The connection was reached and has no table of this name that its role may read. `headwater connections catalog NAME` lists what it can."
    UnknownColumn "unknown_column" "A column that its table does not have"
        "An unquoted column matches exactly, then in lower case, then case-insensitively if only one column does."
    AmbiguousColumn "ambiguous_column" "A column name that several columns match"
        "Qualify the column with its table, or write it in double quotes with the exact case."
    SqlType "sql_type" "SQL that does not type-check"
        "The statement parses and its names exist, but an operator or function does not accept these types."
    SinkType "sink_type" "The target can't hold what the load would write"
        "A type has no exact equivalent in the target, or the existing table differs. Nothing is converted implicitly: cast in a transform, or name the type under `columns:`."
    SameTarget "same_target" "Two loads overwrite one table"
        "Each of them replaces what the other one loaded, so the rows of one are lost. Load into two tables, or combine the inputs in a transform with UNION ALL and load once."
    Unreachable "unreachable" "A connection that could not be reached while planning"
        "Schemas come from the real systems. The message says what failed; `headwater connections check NAME` tests it alone."
    Abilities "abilities" "An operation that the connector does not support"
        "Each connector says whether it can be read, queried and written, and with which modes."
}

impl Code {
    /// The code of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
