//! Functions that SQL of an answer may call: they compute from their arguments alone, in bounded memory.

/// Sorted.
const ALLOWED: &[&str] = &[
    "abs",
    "age",
    "approx_distinct",
    "approx_median",
    "approx_percentile_cont",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cbrt",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "date",
    "date_bin",
    "date_part",
    "date_trunc",
    "dense_rank",
    "digest",
    "ends_with",
    "exp",
    "extract",
    "first_value",
    "floor",
    "format",
    "greatest",
    "grouping",
    "initcap",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "make_date",
    "max",
    "md5",
    "mean",
    "median",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "nvl",
    "nvl2",
    "octet_length",
    "percent_rank",
    "percentile_cont",
    "position",
    "pow",
    "power",
    "rank",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sha256",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "to_char",
    "to_date",
    "to_timestamp",
    "translate",
    "trim",
    "trunc",
    "upper",
    "var",
    "var_pop",
    "var_samp",
    "variance",
];

/// Functions that tell the time of the machine.
const CLOCK: &[&str] = &[
    "clock_timestamp",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "now",
    "statement_timestamp",
    "today",
    "transaction_timestamp",
];

/// Whether a function may be called.
pub(super) fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Whether it tells the time.
pub(super) fn reads_the_clock(name: &str) -> bool {
    CLOCK.contains(&name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_list_is_sorted() {
        assert!(super::ALLOWED.is_sorted());
    }
}
