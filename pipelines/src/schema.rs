//! The JSON Schema of the spec, for editors and models.

use schemars::generate::SchemaSettings;

use crate::spec::Spec;

/// The schema of a spec, generated from the types that read it.
pub fn spec_schema() -> serde_json::Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Spec>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "Headwater pipeline".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_names_every_field_of_a_task() {
        let schema = super::spec_schema();
        let task = &schema["$defs"]["Task"]["properties"];
        for field in [
            "extract",
            "transform",
            "check",
            "load",
            "wait",
            "group",
            "needs",
            "retry",
            "timeout",
            "queue",
            "labels",
            "priority",
        ] {
            assert!(task.get(field).is_some(), "{field} is missing");
        }
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn the_schema_says_what_a_schedule_takes() {
        let schema = super::spec_schema();
        let schedule = &schema["$defs"]["Schedule"];
        assert_eq!(schedule["additionalProperties"], false);
        for cap in ["max_catchup", "max_queued"] {
            let cap = &schedule["properties"][cap];
            assert_eq!((&cap["minimum"], &cap["maximum"]), (&1.into(), &1000.into()));
        }
        assert!(schedule["properties"]["jitter"].to_string().contains("DurationText"), "{schedule:#}");
        for moment in ["start", "end"] {
            assert!(schedule["properties"][moment].to_string().contains("#/$defs/Moment"), "{schedule:#}");
        }
        assert!(schema["$defs"]["Moment"]["pattern"].is_string());
    }
}
