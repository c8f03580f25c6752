//! The decoder beside serde_json, which keeps numbers as they are written here (as raw values), and its speed beside arrow-json.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn wanted(columns: &[(&str, DataType)]) -> Vec<Wanted> {
    let wanted = |(name, data_type): &(&str, DataType)| Wanted {
        name: (*name).to_owned(),
        data_type: data_type.clone(),
        reading: if name.starts_with("json") { Reading::Raw } else { Reading::Typed },
    };
    columns.iter().map(wanted).collect()
}

fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// The value of the column `v` of one message, shown; a refusal otherwise.
fn one(data_type: DataType, message: &str) -> Result<Option<String>, Refusal> {
    let mut decoder = Decoder::new(&wanted(&[("v", data_type)])).unwrap();
    decoder.push(message.as_bytes())?;
    let mut array = decoder.take().unwrap().remove(0);
    if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        array = Arc::new(times.clone().with_timezone_opt(None::<Arc<str>>));
    }
    Ok(array.is_valid(0).then(|| array_value_to_string(&array, 0).unwrap()))
}

fn shown(data_type: DataType, value: &str) -> String {
    one(data_type, &format!("{{\"v\":{value}}}")).unwrap().unwrap()
}

fn refused(data_type: DataType, value: &str) -> Refusal {
    one(data_type, &format!("{{\"v\":{value}}}")).unwrap_err()
}

#[test]
fn every_type_takes_its_values() {
    for (data_type, value, text) in [
        (DataType::Boolean, "true", "true"),
        (DataType::Int16, "-32768", "-32768"),
        (DataType::Int32, "\"2147483647\"", "2147483647"),
        (DataType::Int64, "9.223372036854775807e18", "9223372036854775807"),
        (DataType::Float32, "0.1", "0.1"),
        (DataType::Float64, "-1e-7", "-1e-7"),
        (DataType::Decimal128(12, 2), "\"-0.10\"", "-0.10"),
        (DataType::Utf8, "\"a\\u00e9\\ud83d\\ude00\\n\\/\"", "a\u{e9}\u{1f600}\n/"),
        (DataType::Binary, "\"Zm9v\"", "666f6f"),
        (DataType::Date32, "\"2024-02-29\"", "2024-02-29"),
        (DataType::Timestamp(TimeUnit::Microsecond, None), "\"2024-02-29T12:00:00.25\"", "2024-02-29T12:00:00.250"),
        (utc(), "\"2024-02-29T12:00:00+02:00\"", "2024-02-29T10:00:00"),
    ] {
        assert_eq!(shown(data_type.clone(), value), text, "{data_type} from {value}");
    }
    assert_eq!(one(DataType::Int64, "{\"v\":null}"), Ok(None));
    assert_eq!(one(DataType::Int64, " { \"w\" : [1, {\"v\": 2}] , \"x\" : {} } "), Ok(None));
}

#[test]
fn what_a_type_cannot_hold_is_refused_with_field_and_byte() {
    for (data_type, value, reason) in [
        (DataType::Boolean, "1", "true or false is expected"),
        (DataType::Int16, "32768", "too large"),
        (DataType::Int64, "9223372036854775808", "too large"),
        (DataType::Int64, "1.5", "has a fraction"),
        (DataType::Int64, "\"1 \"", "not a number"),
        (DataType::Int64, "true", "a number is expected"),
        (DataType::Float64, "\"1\"", "a number is expected"),
        (DataType::Float64, "1e999", "too large"),
        (DataType::Float64, "\"NaN\"", "a number is expected"),
        (DataType::Decimal128(12, 2), "0.001", "more digits behind the point"),
        (DataType::Decimal128(12, 2), "\"NaN\"", "not a number"),
        (DataType::Utf8, "1", "a string is expected"),
        (DataType::Utf8, "{}", "a string is expected"),
        (DataType::Binary, "\"Zm9\"", "not base64"),
        (DataType::Date32, "\"2024-02-30\"", "not a date"),
        (utc(), "1700000000", "a timestamp is expected"),
    ] {
        let refusal = refused(data_type.clone(), value);
        assert!(refusal.reason.contains(reason), "{data_type} from {value}: {refusal}");
        assert_eq!((refusal.field.as_deref(), refusal.at), (Some("v"), 5), "{data_type} from {value}");
    }
}

#[test]
fn what_is_not_json_is_refused_where_it_ends_to_be_it() {
    for (message, at, reason) in [
        ("", 0, "empty"),
        ("[1]", 0, "not a JSON object"),
        ("null", 0, "not a JSON object"),
        ("{\"v\":1", 6, "ends in the middle"),
        ("{\"v\":\"abc", 9, "ends in the middle"),
        ("{\"w\":tru", 8, "ends in the middle"),
        ("{\"w\":trux}", 8, "no JSON value"),
        ("{\"v\":1}{\"v\":2}", 7, "behind the object"),
        ("{\"v\":1,\"v\":2}", 11, "there twice"),
        ("{\"v\":1,\"\\u0076\":2}", 16, "there twice"),
        ("{\"v\":NaN}", 5, "no JSON value"),
        ("{\"v\":01}", 6, "begins with 0"),
        ("{\"v\":-}", 6, "a digit is missing"),
        ("{\"v\":1,}", 7, "the name of a field"),
        ("{\"w\":\"\\ud800x\"}", 6, "half a surrogate pair"),
        ("{\"w\":\"a\u{1}\"}", 7, "control character"),
        ("{\"w\":[1 2]}", 8, "a comma or the end"),
    ] {
        let refusal = one(DataType::Int64, message).unwrap_err();
        assert!(refusal.reason.contains(reason), "{message}: {refusal}");
        assert_eq!(refusal.at, at, "{message}: {refusal}");
    }
    let mut decoder = Decoder::new(&wanted(&[("v", DataType::Utf8)])).unwrap();
    assert_eq!(decoder.push(b"{\"v\":\"\xff\"}").unwrap_err().at, 6);
    let deep = format!("{{\"w\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(decoder.push(deep.as_bytes()).unwrap_err().reason.contains("nested"));
}

#[test]
fn json_columns_keep_what_is_written() {
    let mut decoder = Decoder::new(&wanted(&[("json", DataType::Utf8)])).unwrap();
    for value in ["{\"a\" : 1.0,\"a\":[ ]}", "1.10", "\"x\\u0041\"", "true"] {
        decoder.push(format!("{{\"json\": {value} }}").as_bytes()).unwrap();
    }
    let array = decoder.take().unwrap().remove(0);
    let kept: Vec<_> = array.as_string::<i32>().iter().flatten().collect();
    assert_eq!(kept, ["{\"a\" : 1.0,\"a\":[ ]}", "1.10", "\"x\\u0041\"", "true"]);
}

#[test]
fn a_guessed_float_is_refused_where_it_would_be_rounded() {
    let guessed = Wanted { name: "v".to_owned(), data_type: DataType::Float64, reading: Reading::Guessed };
    let mut decoder = Decoder::new(&[guessed]).unwrap();
    decoder.push(b"{\"v\":0.1}").unwrap();
    assert!(decoder.push(b"{\"v\":0.12345678901234567890}").unwrap_err().reason.contains("all digits"));
}

/// What a message may be, mostly nearly right.
fn messages() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,22})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?",
        "\"-?[0-9]{1,20}(\\.[0-9]{1,3})?\"",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        "\"(\\\\u[0-9a-fD]{4}|[a-z \\\\\"]){0,6}\"",
        "[-0-9.eEtrufalsn]{1,5}",
    ];
    let value = scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::vec(("[a-c]{1,2}", inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    });
    let member = ("(int|num|text|json|bool|other|\\\\u0069nt)", value);
    let cut = prop_oneof![4 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)];
    (prop::collection::vec(member, 0..5), cut, "[ \\n]{0,2}").prop_map(|(members, cut, space)| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\"{space}:{space}{value}")).collect();
        let text = format!("{space}{{{}}}{space}", members.join(","));
        match cut {
            Some(index) => text.chars().take(index.index(text.len() + 1)).collect(),
            None => text,
        }
    })
}

/// An object's members in order, each as it is written.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut found = Vec::new();
                while let Some(member) = map.next_entry()? {
                    found.push(member);
                }
                Ok(Members(found))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// Members as serde_json reads them, by their names.
fn oracle(message: &str) -> Option<BTreeMap<String, Vec<String>>> {
    let Members(members) = serde_json::from_str(message).ok()?;
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in members {
        if !is_valid(value.get()) {
            return None;
        }
        found.entry(name).or_default().push(value.get().to_owned());
    }
    Some(found)
}

/// A raw value is not looked into by serde_json; strings in it may hold half a surrogate pair. (A tree of values would refuse numbers that a double can't
/// hold, which columns of other types take.)
fn is_valid(raw: &str) -> bool {
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw).is_ok(),
        Some(b'[') => serde_json::from_str::<Vec<Box<RawValue>>>(raw)
            .is_ok_and(|items| items.iter().all(|item| is_valid(item.get()))),
        Some(b'{') => serde_json::from_str::<Members>(raw)
            .is_ok_and(|Members(members)| members.iter().all(|(_, value)| is_valid(value.get()))),
        _ => true,
    }
}

/// What a column should hold: NULL, a value, or a refusal.
fn expected(found: Option<&Vec<String>>, read: impl Fn(&str) -> Option<String>) -> Result<Option<String>, ()> {
    match found.map(Vec::as_slice) {
        None => Ok(None),
        Some([one]) if one == "null" => Ok(None),
        Some([one]) => read(one).map(Some).ok_or(()),
        Some(_) => Err(()),
    }
}

/// An integer times a power of ten, by long arithmetic on text.
fn scaled(text: &str, scale: i64) -> Option<i128> {
    let inner: Option<String> = serde_json::from_str::<String>(text).ok();
    let text = inner.as_deref().unwrap_or(text);
    serde_json::from_str::<&RawValue>(text)
        .ok()
        .filter(|raw| raw.get() == text && !text.starts_with(['"', '[', '{']))?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    let mut shift = power.parse::<i64>().ok()? + scale - fraction.len() as i64;
    if digits.bytes().all(|digit| digit == b'0') {
        return Some(0);
    }
    while shift < 0 {
        digits = digits.strip_suffix('0')?.to_owned();
        shift += 1;
    }
    digits.push_str(&"0".repeat(usize::try_from(shift).ok()?));
    let value: i128 = digits.trim_start_matches('0').parse().ok()?;
    Some(if negative { -value } else { value })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8_000))]
    #[test]
    fn messages_are_read_as_serde_json_reads_them_or_refused_as_a_whole(first in messages(), second in messages()) {
        let columns = wanted(&[
            ("int", DataType::Int64), ("num", DataType::Decimal128(20, 2)), ("text", DataType::Utf8),
            ("json", DataType::Utf8), ("bool", DataType::Boolean),
        ]);
        let mut decoder = Decoder::new(&columns).unwrap();
        let mut rows: Vec<Vec<Option<String>>> = Vec::new();
        for message in [&first, &second, &first] {
            let pushed = decoder.push(message.as_bytes());
            let limit = 10_i128.pow(20);
            let wanted = oracle(message).and_then(|found| {
                [
                    expected(found.get("int"), |text| Some(i64::try_from(scaled(text, 0)?).ok()?.to_string())),
                    expected(found.get("num"), |text| scaled(text, 2).filter(|value| value.abs() < limit).map(|value| value.to_string())),
                    expected(found.get("text"), |text| serde_json::from_str::<String>(text).ok()),
                    expected(found.get("json"), |text| Some(text.to_owned())),
                    expected(found.get("bool"), |text| serde_json::from_str::<bool>(text).ok().map(|value| value.to_string())),
                ].into_iter().collect::<Result<Vec<_>, ()>>().ok()
            });
            prop_assert_eq!(pushed.is_ok(), wanted.is_some(), "{}: {:?}", message, pushed);
            rows.extend(wanted);
        }
        let arrays = decoder.take().unwrap();
        for (index, array) in arrays.iter().enumerate() {
            prop_assert_eq!(array.len(), rows.len());
            for (row, wanted) in rows.iter().enumerate() {
                let found = array.is_valid(row).then(|| match array.data_type() {
                    DataType::Decimal128(..) => array.as_primitive::<arrow::datatypes::Decimal128Type>().value(row).to_string(),
                    DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
                    DataType::Boolean => array.as_boolean().value(row).to_string(),
                    _ => array.as_string::<i32>().value(row).to_owned(),
                });
                prop_assert_eq!(&found, &wanted[index], "{} / {}", first, second);
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_do_not_panic(message: Vec<u8>, tail in "[\\[\\]{}\",:0-9a-z\\\\]{0,20}") {
        let mut decoder = Decoder::new(&wanted(&[("a", DataType::Int64), ("json", DataType::Utf8)])).unwrap();
        let _ = decoder.push(&message);
        let _ = decoder.push(format!("{{\"a\":{tail}").as_bytes());
        let arrays = decoder.take().unwrap();
        prop_assert_eq!(arrays[0].len(), arrays[1].len());
    }
}

/// Messages of 200 bytes, as applications send them.
fn orders(count: u64) -> Vec<String> {
    let order = |index: u64| {
        let day = index % 28 + 1;
        format!(
            "{{\"id\":{index},\"customer\":{},\"status\":\"shipped\",\"amount\":\"{}.{:02}\",\"quantity\":{},\"price\":{}.5,\"paid\":{},\
             \"note\":\"leave it at the back door\",\"at\":\"2026-11-{day:02}T12:34:56.{:06}\",\"tag\":\"a-{:010}\"}}",
            index * 7919 % 100_000,
            index % 9000 + 1000,
            index % 100,
            index % 9,
            index % 1000,
            index.is_multiple_of(2),
            index % 1_000_000,
            index,
        )
    };
    (0..count).map(order).collect()
}

#[test]
fn messages_are_decoded_as_arrow_json_decodes_them() {
    let messages = orders(20_000);
    let types = [
        ("id", DataType::Int64),
        ("customer", DataType::Int32),
        ("status", DataType::Utf8),
        ("amount", DataType::Decimal128(12, 2)),
        ("quantity", DataType::Int16),
        ("price", DataType::Float64),
        ("paid", DataType::Boolean),
        ("note", DataType::Utf8),
        ("at", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("tag", DataType::Utf8),
    ];
    let fields: Vec<_> = types.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut ours = Decoder::new(&wanted(&types)).unwrap();
    let mut theirs =
        arrow::json::ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(8192).build_decoder().unwrap();
    for chunk in messages.chunks(8192) {
        for message in chunk {
            ours.push(message.as_bytes()).unwrap();
            assert_eq!(theirs.decode(message.as_bytes()).unwrap(), message.len());
        }
        let found = RecordBatch::try_new(Arc::clone(&schema), ours.take().unwrap()).unwrap();
        assert_eq!(found, theirs.flush().unwrap().unwrap());
    }
}
