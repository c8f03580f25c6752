//! The decoder beside fastavro, which shares no code with it: the bytes here are what its `schemaless_writer` wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};

use headwater_engine::EngineError;

use super::schema::Schema;
use super::*;
use crate::kafka::json::{Reading, Wanted};
use crate::kafka::schemas::shape::Shape;
use crate::kafka::schemas::{self, Records, Refusal, Rules, Schemas, text};

mod properties;

const ALL: &str = r#"{"type":"record","name":"All","namespace":"a.b","fields":[{"name":"b","type":"boolean"
},{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},{"name":"d","type":"double"
},{"name":"s","type":"string"},{"name":"y","type":"bytes"
},{"name":"x","type":{"type":"fixed","name":"X","size":3}
},{"name":"e","type":{"type":"enum","name":"E","symbols":["RED","GREEN"]}
},{"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":12, "scale":2}
},{"name":"fix","type":{"type":"fixed","name":"D","size":6, "logicalType":"decimal","precision":10, "scale":3}
},{"name":"wide","type":{"type":"bytes","logicalType":"decimal","precision":50, "scale":4}
},{"name":"day","type":{"type":"int","logicalType":"date"}
},{"name":"tm","type":{"type":"int","logicalType":"time-millis"}
},{"name":"tu","type":{"type":"long","logicalType":"time-micros"}
},{"name":"sm","type":{"type":"long","logicalType":"timestamp-millis"}
},{"name":"su","type":{"type":"long","logicalType":"timestamp-micros"}
},{"name":"lm","type":{"type":"long","logicalType":"local-timestamp-millis"}
},{"name":"lu","type":{"type":"long","logicalType":"local-timestamp-micros"}
},{"name":"u","type":{"type":"string","logicalType":"uuid"}},{"name":"n","type":["null","string"]
},{"name":"m","type":["long","null"]}]}"#;

const ALL_BYTES: &str = "01ffffffff0ffeffffffffffffffff010000c03f9a9999999999b9bf0e4772c3bcc39f650400ff616263020ae34166e5f3ffffffffffff26ff72474f7c0842701fa22481aa0d27816954df8cb50298e8b25202a6e2cbf283650190e2868299638ccdee84b8fb86064830313233343536372d383961622d636465662d303132332d343536373839616263646566000001";

const NESTED: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"long"
},{"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"
},{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":9, "scale":2}
},{"name":"raw","type":"bytes"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}
},{"name":"sub","type":["null","Line"]}]}}
},{"name":"tags","type":{"type":"map","values":["null","int","string", {"type":"array","items":"double"}]}
},{"name":"any","type":["string","long","Line"]}]}"#;

const OLD: &str = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"},{"name":"gone","type":"string"
},{"name":"kept","type":["null","int"]}]}"#;

const NEW: &str = r#"{"type":"record","name":"R","fields":[{"name":"kept","type":["null","long"],"default":null
},{"name":"id","type":"long"},{"name":"note","type":"string","default":"none"
},{"name":"dec","type":{"type":"bytes","logicalType":"decimal","precision":6, "scale":2},"default":"\u0001\u00f4"
},{"name":"list","type":{"type":"array","items":"int"},"default":[1, 2]}]}"#;

const DEFAULTS: &str = r#"{"type":"record","name":"R","fields":[{"name":"m","type":{"type":"map","values":"long"},"default":{"a":1, "b":-300}
},{"name":"r","type":{"type":"record","name":"In","fields":[{"name":"x","type":"int","default":5
},{"name":"y","type":["null","string"],"default":null}]},"default":{"x":6}
},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"B"
},{"name":"f","type":"float","default":0.1},{"name":"t","type":"boolean","default":true
},{"name":"fx","type":{"type":"fixed","name":"F","size":2},"default":"\u00ff\u0000"
},{"name":"un","type":["string","null"],"default":"s"}]}"#;

/// Schemas by their ids.
#[derive(Debug, Default)]
struct Given(HashMap<i32, Arc<Schema>>);

impl Schemas for Given {
    fn schema(&self, id: i32) -> Result<schemas::Schema, EngineError> {
        let found = self.0.get(&id).cloned().ok_or_else(|| EngineError::config(format!("no schema {id}")))?;
        Ok(schemas::Schema::Avro(found))
    }
}

fn schema(id: i32, text: &str) -> Arc<Schema> {
    Arc::new(Schema::parse(id, text, &[]).unwrap())
}

/// Columns as they are chosen for a schema.
fn chosen(schema: &Schema) -> Vec<Wanted> {
    let column = |field: &schema::Field| {
        let data_type = shape::of(schema, field.node).data_type();
        let reading = if data_type.is_some() { Reading::Guessed } else { Reading::Raw };
        Wanted { name: field.name.clone(), data_type: data_type.unwrap_or(DataType::Utf8), reading }
    };
    schema.fields().iter().map(column).collect()
}

fn declared(columns: &[(&str, DataType)]) -> Vec<Wanted> {
    let wanted = |(name, data_type): &(&str, DataType)| Wanted {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        reading: Reading::Typed,
    };
    columns.iter().map(wanted).collect()
}

fn decoder(schemas: &[Arc<Schema>], wanted: &[Wanted], latest: Option<&Arc<Schema>>, follows: bool) -> Decoder {
    let given = Given(schemas.iter().map(|schema| (schema.id, Arc::clone(schema))).collect());
    let known = wanted.iter().map(|wanted| wanted.name.clone().into_bytes()).collect::<HashSet<_>>();
    let rules = Rules { follows, latest: latest.cloned().map(schemas::Schema::Avro) };
    Decoder::new(wanted, follows.then(|| Arc::new(known)), rules, Arc::new(given)).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn message(id: i32, record: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], record].concat()
}

/// The rows, a text for each value.
fn rows(decoder: &mut Decoder) -> Vec<Vec<String>> {
    let arrays = decoder.take().unwrap();
    let options = FormatOptions::default().with_null("NULL");
    let shown: Vec<_> = arrays.iter().map(|array| ArrayFormatter::try_new(array, &options).unwrap()).collect();
    let count = arrays.first().map_or(0, |array| array.len());
    (0..count).map(|row| shown.iter().map(|column| column.value(row).to_string()).collect()).collect()
}

/// The only row of one message.
fn row(text: &str, hex: &str, wanted: &[Wanted]) -> Result<Vec<String>, Refusal> {
    let schema = schema(1, text);
    let mut decoder = decoder(&[schema], wanted, None, false);
    decoder.push(&message(1, &bytes(hex)))?;
    Ok(rows(&mut decoder).remove(0))
}

#[test]
fn every_type_is_read_as_fastavro_wrote_it() {
    let wanted = chosen(&schema(1, ALL));
    assert_eq!(
        row(ALL, ALL_BYTES, &wanted).unwrap(),
        [
            "true",
            "-2147483648",
            "9223372036854775807",
            "1.5",
            "-0.1",
            "Gr\u{fc}\u{df}e",
            "00ff",
            "616263",
            "GREEN",
            "-1234567890.05",
            "-0.001",
            "-1234567890123456789012345678901234567890.0001",
            "2024-02-29",
            "23:59:59.5",
            "00:00:00.000001",
            "2024-12-31T23:59:59.123Z",
            "1969-12-31T23:59:59.999999Z",
            "2024-01-02T03:04:05",
            "2024-01-02T03:04:05.000006",
            "01234567-89ab-cdef-0123-456789abcdef",
            "NULL",
            "-1",
        ]
    );
    let types: Vec<DataType> = wanted.into_iter().map(|wanted| wanted.data_type).collect();
    let time = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    assert_eq!(types[9..12], [DataType::Decimal128(12, 2), DataType::Decimal128(10, 3), DataType::Utf8]);
    assert_eq!(types[15..19], [time(Some("UTC")), time(Some("UTC")), time(None), time(None)]);
}

#[test]
fn every_type_is_written_as_text_and_as_json() {
    let all = schema(1, ALL);
    let texts: Vec<(&str, DataType)> = all
        .fields()
        .iter()
        .map(|field| (field.name.as_str(), DataType::Utf8))
        .filter(|(name, _)| *name != "y")
        .collect();
    let written = row(ALL, ALL_BYTES, &declared(&texts)).unwrap();
    assert_eq!(written[..6], ["true", "-2147483648", "9223372036854775807", "1.5", "-0.1", "Gr\u{fc}\u{df}e"]);
    assert_eq!(written[6..10], ["abc", "GREEN", "-1234567890.05", "-0.001"]);
    assert_eq!(written[14..16], ["2024-12-31 23:59:59.123+00", "1969-12-31 23:59:59.999999+00"]);
    assert_eq!(written[16..18], ["2024-01-02 03:04:05", "2024-01-02 03:04:05.000006"]);
    let raw =
        |field: &schema::Field| Wanted { name: field.name.clone(), data_type: DataType::Utf8, reading: Reading::Raw };
    let written = row(ALL, ALL_BYTES, &all.fields().iter().map(raw).collect::<Vec<_>>()).unwrap();
    assert_eq!(written[5..10], ["\"Gr\u{fc}\u{df}e\"", "\"AP8=\"", "\"YWJj\"", "\"GREEN\"", "-1234567890.05"]);
    assert_eq!(written[11..14], ["-1234567890123456789012345678901234567890.0001", "\"2024-02-29\"", "\"23:59:59.5\""]);
    assert_eq!(written[15], "\"2024-12-31T23:59:59.123+00:00\"");
    assert_eq!(written[20..], ["NULL", "-1"]);
}

#[test]
fn records_lists_maps_and_unions_are_json() {
    let wanted = chosen(&schema(1, NESTED));
    let first = row(NESTED, "0e020661220a02ce04010290e2868299630202620403e8000000000802610002620202026304027802640604000000000000e03f00000000000008400000020a", &wanted).unwrap();
    let lines = r#"[{"sku":"a\"\n","price":-0.50,"raw":"AQI=","at":"2024-01-02T03:04:05+00:00","sub":{"sku":"b","price":10.00,"raw":"","at":"1970-01-01T00:00:00+00:00","sub":null}}]"#;
    assert_eq!(first, ["7", lines, r#"{"a":null,"b":1,"c":"x","d":[0.5,3.0]}"#, "5"]);
    assert_eq!(row(NESTED, "010000000279", &wanted).unwrap(), ["-1", "[]", "{}", "\"y\""]);
}

/// One list of integers.
const LIST: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"int"}}]}"#;

#[test]
fn blocks_come_in_pieces_and_with_their_length_or_without() {
    let wanted = chosen(&schema(1, LIST));
    for hex in ["04020400", "0202020400", "0304020400", "010202010204 00"] {
        assert_eq!(row(LIST, &hex.replace(' ', ""), &wanted).unwrap(), ["[1,2]"], "{hex}");
    }
}

#[test]
fn messages_of_several_schemas_share_their_columns() {
    let (old, new) = (schema(1, OLD), schema(2, NEW));
    let mut wanted = chosen(&new);
    wanted.extend(chosen(&old).into_iter().filter(|wanted| wanted.name == "gone"));
    let mut decoder = decoder(&[Arc::clone(&old), Arc::clone(&new)], &wanted, Some(&new), true);
    decoder.push(&message(1, &bytes("0202780206"))).unwrap();
    decoder.push(&message(2, &bytes("028080808080408080808080808004026e027d00"))).unwrap();
    decoder.push_nulls();
    let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
    assert_eq!(names, ["kept", "id", "note", "dec", "list", "gone"]);
    assert_eq!(
        rows(&mut decoder),
        [
            ["3", "1", "none", "5.00", "[1,2]", "x"],
            ["1099511627776", "1125899906842624", "n", "1.25", "[]", "NULL"],
            ["NULL"; 6],
        ]
    );
}

#[test]
fn a_schema_that_needs_other_columns_is_noticed_by_those_who_follow() {
    let (old, new) = (schema(1, OLD), schema(2, NEW));
    let unseen = |wanted: &[Wanted], schema: &Arc<Schema>, hex: &str, follows: bool| {
        let mut decoder = decoder(&[Arc::clone(schema)], wanted, None, follows);
        decoder.push(&message(schema.id, &bytes(hex)))
    };
    let new_bytes = "028080808080408080808080808004026e027d00";
    // A field that no column has.
    let error = unseen(&chosen(&old), &new, new_bytes, true).unwrap_err();
    assert!(matches!(error, Refusal::Unseen { id: 2, .. }), "{error}");
    // A type that is wider than its column. Without a load that follows, values decide.
    let both = [&chosen(&old)[..], &chosen(&new)[2..]].concat();
    let error = unseen(&both, &new, new_bytes, true).unwrap_err();
    assert!(matches!(error, Refusal::Unseen { .. }), "{error}");
    let error = unseen(&both, &new, new_bytes, false).unwrap_err();
    assert_eq!(error.to_string(), "field kept: the number is too large for the column's type (byte 12)");
    // What is narrower, or less, is nothing new.
    let mut wide = chosen(&new);
    wide.extend(chosen(&old).into_iter().filter(|wanted| wanted.name == "gone"));
    unseen(&wide, &old, "0202780206", true).unwrap();
}

#[test]
fn types_that_a_person_declares_are_exact_or_refused() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"l","type":"long"},{"name":"s","type":"string"},
        {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},{"name":"f","type":"double"}]}"#;
    // 9007199254740993, "12.5", 1.20, 0.5
    let hex = "828080808080802008 31322e35 0278 000000000000e03f".replace(' ', "");
    let read = |name: &str, data_type: DataType| row(text, &hex, &declared(&[(name, data_type)]));
    assert_eq!(read("l", DataType::Decimal128(20, 1)).unwrap(), ["9007199254740993.0"]);
    assert_eq!(read("s", DataType::Decimal128(6, 2)).unwrap(), ["12.50"]);
    assert_eq!(read("d", DataType::Decimal128(6, 1)).unwrap(), ["1.2"]);
    assert_eq!(read("d", DataType::Utf8).unwrap(), ["1.20"]);
    for (name, data_type, part) in [
        ("l", DataType::Float64, "field l: the column's type does not hold all digits"),
        ("l", DataType::Int32, "field l: the number is too large"),
        ("l", DataType::Boolean, "does not fit the column's type"),
        ("s", DataType::Int64, "field s: the number has a fraction"),
        ("s", DataType::Binary, "does not fit the column's type"),
        ("d", DataType::Int64, "field d: the number has more digits behind the point"),
        ("f", DataType::Float32, "does not fit the column's type"),
        ("f", DataType::Decimal128(6, 2), "does not fit the column's type"),
    ] {
        let error = read(name, data_type).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("90071") && !error.contains("12.5"), "{error}");
    }
}

#[test]
fn what_is_no_message_of_its_schema_is_refused() {
    let wanted = chosen(&schema(1, LIST));
    for (hex, part) in [
        ("", "the message ends in the middle of its record (byte 5)"),
        ("02", "ends in the middle"),
        ("04020400ff", "something stands behind the record"),
        ("0302020400", "field a: a block of a list or map is not as long as it says"),
        ("0301020400", "field a: a length is negative"),
        ("03feffffff0f020400", "field a: a length is larger than what is left"),
        // Four thousand million items, and an integer without an end.
        ("feffffff1f02", "ends in the middle"),
        ("ffffffffffffffffffff01", "field a: an integer has more than 64 bits"),
        ("02ffffffff7f00", "field a: an integer has more than 32 bits"),
    ] {
        let error = row(LIST, hex, &wanted).unwrap_err().to_string();
        assert!(error.contains(part), "{hex}: {error}");
    }
    let all = chosen(&schema(1, ALL));
    let wrong = |at: usize, byte: u8| {
        let mut record = bytes(ALL_BYTES);
        record[at] = byte;
        let mut decoder = decoder(&[schema(1, ALL)], &all, None, false);
        let error = decoder.push(&message(1, &record)).unwrap_err().to_string();
        assert_eq!(rows(&mut decoder).len(), 0);
        error
    };
    assert!(wrong(0, 2).contains("field b: a boolean is neither 0 nor 1"));
    assert!(wrong(ALL_BYTES.len() / 2 - 2, 4).contains("field m: a union has no branch of that number"));
    for (head, part) in [
        ("", "the message is empty"),
        ("7b7d", "does not begin with a zero"),
        ("000000", "ends before the id"),
        ("0000000009", "no schema 9"),
    ] {
        let error = decoder(&[], &all, None, false).push(&bytes(head)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_record_in_itself_ends_somewhere() {
    let text = r#"{"type":"record","name":"R","fields":[{"name":"r","type":["null","R"]}]}"#;
    let wanted = chosen(&schema(1, text));
    let nested = |depth: usize| row(text, &format!("{}00", "02".repeat(depth)), &wanted);
    assert!(nested(20).is_ok());
    assert!(nested(100_000).unwrap_err().to_string().contains("nested too deeply"));
    // Thirty records without a byte, each twice in the next.
    let mut tower = r#"{"type":"record","name":"R0","fields":[]}"#.to_owned();
    for floor in 1..30 {
        let fields = format!(r#"[{{"name":"a","type":{tower}}},{{"name":"b","type":"R{}"}}]"#, floor - 1);
        tower = format!(r#"{{"type":"record","name":"R{floor}","fields":{fields}}}"#);
    }
    let error = row(&tower, "", &chosen(&schema(1, &tower))).unwrap_err().to_string();
    assert!(error.contains("far more values than bytes"), "{error}");
}

#[test]
fn defaults_are_what_fastavro_writes_for_them() {
    let schema = schema(1, DEFAULTS);
    let encoded: Vec<u8> = schema
        .fields()
        .iter()
        .flat_map(|field| default::encode(&schema, field.node, field.default.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(encoded, bytes("040261020262d704000c0002cdcccc3d01ff00000273"));
    let wrong = |name: &str, json: Value| {
        let field = schema.fields().iter().find(|field| field.name == name).unwrap();
        default::encode(&schema, field.node, &json).is_err()
    };
    assert!(wrong("m", json!([])) && wrong("r", json!({ "x": 3_000_000_000_u32 })) && wrong("e", json!("C")));
    assert!(wrong("fx", json!("abc")) && wrong("fx", json!("\u{100}a")) && wrong("un", json!(1)));
}

#[test]
fn schemas_name_their_types_or_are_refused() {
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","namespace":"a","fields":[{fields}]}}"#);
    let other = r#"{"type":"enum","name":"E","namespace":"a","symbols":["X"]}"#.to_owned();
    let uses = record(r#"{"name":"e","type":"E"},{"name":"f","type":["null","a.E"]}"#);
    assert!(Schema::parse(1, &uses, std::slice::from_ref(&other)).is_ok());
    for (text, part) in [
        (uses, "the type E is not defined"),
        ("\"string\"".to_owned(), "it is not a record"),
        ("{".to_owned(), "not JSON"),
        (record(r#"{"name":"a","type":"int"},{"name":"a","type":"int"}"#), "two fields named a"),
        (record(r#"{"name":"a","type":["int",["null"]]}"#), "a union holds a union"),
        (record(r#"{"name":"a","type":{"type":"array"}}"#), "lacks its items"),
        (record(r#"{"name":"a","type":{"type":"fixed","name":"R","size":1}}"#), "a.R is defined twice"),
        (other, "it is not a record"),
    ] {
        let error = Schema::parse(1, &text, &[]).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    // A logical type that does not fit its type is ignored, as are those of Kafka Connect.
    let ignored = record(
        r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}},
           {"name":"b","type":{"type":"long","connect.name":"org.apache.kafka.connect.data.Timestamp"}},
           {"name":"c","type":{"type":"string","logicalType":"date"}}"#,
    );
    let types: Vec<DataType> = chosen(&schema(1, &ignored)).into_iter().map(|wanted| wanted.data_type).collect();
    assert_eq!(types, [DataType::Binary, DataType::Int64, DataType::Utf8]);
}

#[test]
fn a_column_holds_all_types_that_its_field_has_had() {
    use Shape::{Date, Double, Float, Int, Json, Long, Text};
    let decimal = |precision, scale| Shape::Decimal { precision, scale };
    for (one, other, both) in [
        (Int, Long, Long),
        (Int, Float, Double),
        (Long, Double, Double),
        (Int, Text, Json),
        (Date, Int, Json),
        (Text, Json, Json),
        (decimal(10, 2), decimal(8, 4), decimal(12, 4)),
        (decimal(38, 0), decimal(38, 10), Json),
        (decimal(20, 0), Long, decimal(20, 0)),
        (decimal(6, 2), Int, decimal(12, 2)),
        (decimal(38, 2), Long, decimal(38, 2)),
    ] {
        assert_eq!((one.and(other), other.and(one)), (both, both));
        let within = |shape: Shape| both.data_type().is_none_or(|data_type| shape.is_within(&data_type));
        assert!(within(one) && within(other), "{one:?} {other:?}");
    }
    assert_eq!(
        serde_json::to_value([Int, decimal(10, 2)]).unwrap(),
        json!(["int", { "decimal": { "precision": 10, "scale": 2 } }])
    );
}
