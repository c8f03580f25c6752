//! SQL means here what it means in Postgres, or is refused when it is planned.
//!
//! DataFusion's own semantics differ in silence: integers wrap, literals with a point are floats, casts cut. So the syntax
//! tree is rewritten (`syntax`) such that a planner of ours (`planner`) is asked about each construct with the types of its
//! operands, as Postgres resolves operators: it inserts the casts and chooses the function. Comparisons stay DataFusion's
//! own, so that filters still reach sources. docs/sql.md lists what is Postgres' and what is refused.

mod aggregates;
mod arithmetic;
mod buckets;
mod byte_codes;
mod bytea_functions;
mod calls;
mod cast;
mod compare;
mod conditionals;
mod correlation;
mod date_fields;
mod dates;
mod format_functions;
mod formats;
mod frames;
mod functions;
mod groups;
mod interval_formats;
mod intervals;
mod json;
mod kernel;
mod laterals;
mod list_functions;
mod list_parts;
mod lists;
mod matches;
mod memberships;
mod moments;
mod names;
mod number_digits;
mod number_formats;
mod number_functions;
mod number_readings;
mod number_writings;
mod ordered;
mod parameters;
mod patterns;
mod percentiles;
mod periods;
mod planner;
mod queries;
mod quote_functions;
mod quotes;
mod readings;
mod regex_functions;
mod regexes;
mod row_values;
mod rows;
mod series;
mod subqueries;
mod sums;
mod syntax;
mod table_functions;
mod text;
mod text_functions;
mod time_functions;
mod times;
mod totals;
mod trees;
mod types;
mod unions;
mod width_buckets;

pub(crate) use planner::Planner;
pub(crate) use sums::all as aggregates;
pub(crate) use syntax::rewrite;
pub(crate) use text::written as texts;
pub(crate) use unions::check;
