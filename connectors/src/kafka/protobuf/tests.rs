//! The decoder beside Google's own library, which shares no code with it: the bytes here are what its Python serializer wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use headwater_engine::EngineError;

use super::schema::Schema;
use super::*;
use crate::kafka::json::{Reading, Wanted};
use crate::kafka::schemas::{self, Named, Records, Refusal, Rules, Schemas};

mod messages;
mod properties;

const ALL: &str = r#"syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/struct.proto";
message All {
  enum Color { NONE = 0; RED = 1; GREEN = 2; }
  message Line { string sku = 1; optional int32 count = 2; Line next = 3; }
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6;
  fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10;
  bool flag = 11; float real = 12; double wide = 13; string text = 14; bytes raw = 15; Color color = 16;
  optional int32 maybe = 17;
  google.protobuf.Timestamp at = 18; google.protobuf.Duration took = 19;
  google.protobuf.UInt64Value wrapped = 20; google.protobuf.StringValue note = 21;
  Line line = 22; repeated Line lines = 23; repeated sint32 numbers = 24; map<string, Line> by_name = 25; map<int64, bool> flags = 26;
  oneof choice { string word = 27; Line other = 28; uint32 number = 29; }
  google.protobuf.Struct any = 30; repeated string words = 31;
}"#;

const ALL_BYTES: &str = "0880808080f8ffffffff01108080808080808080800118ffffffff0f20ffffffffffffffffff0128ffffffff0f30feffffffffffffffff013dffffffff41ffffffffffffffff4dffffffff5100000000000000805801650000c03f699a9999999999b9bf72074772c3bcc39f657a0200ff80010288010092010b08ff8ad2bb06108094ef3a9a011608ffffffffffffffffff011080b6ca91feffffffff01a20100aa01030a016eb201080a0261221a021000ba01030a0162ba0100c20103020306ca01080a017812030a0163ca01050a01791200d2010d08ffffffffffffffffff011001e80107f2012a0a280a0161122332210a0911000000000000f03f0a0208000a031a01780a0b2a090a070a016212022000fa0100fa010177";

const OLD: &str = r#"syntax = "proto2";
package shop;
message Old {
  enum Size { SMALL = 1; LARGE = 2; }
  required int32 id = 1; optional string name = 2 [default = "none"];
  optional group Part = 3 { optional int32 x = 4; repeated group Inner = 5 { required Size size = 6; } }
  repeated int32 plain = 7; repeated fixed32 packed = 8 [packed = true]; optional Size size = 9;
}"#;

const OLD_BYTES: &str = "08051b20012b30022c2b30012c1c38013802420803000000040000004801";

/// Schemas by their ids.
#[derive(Debug, Default)]
struct Given(HashMap<i32, Schema>);

impl Schemas for Given {
    fn schema(&self, id: i32) -> Result<schemas::Schema, EngineError> {
        let found = self.0.get(&id).cloned().ok_or_else(|| EngineError::config(format!("no schema {id}")))?;
        Ok(schemas::Schema::Protobuf(found))
    }
}

fn schema(id: i32, text: &str) -> Schema {
    Schema::parse(id, text, &[]).unwrap()
}

/// Columns as they are chosen for a schema.
fn chosen(schema: &Schema) -> Vec<Wanted> {
    let column = |field: &schemas::Field<'_>| {
        let data_type = field.shape.unwrap().data_type();
        let reading = if data_type.is_some() { Reading::Guessed } else { Reading::Raw };
        Wanted { name: field.name.to_owned(), data_type: data_type.unwrap_or(DataType::Utf8), reading }
    };
    schema.fields().iter().map(column).collect()
}

fn declared(name: &str, data_type: DataType) -> Vec<Wanted> {
    vec![Wanted { name: name.to_owned(), data_type, reading: Reading::Typed }]
}

fn decoder(schemas: &[Schema], wanted: &[Wanted], follows: bool) -> Decoder {
    let given = Given(schemas.iter().map(|schema| (schema.id, schema.clone())).collect());
    let known = wanted.iter().map(|wanted| wanted.name.clone().into_bytes()).collect::<HashSet<_>>();
    let rules = Rules { follows, latest: None };
    Decoder::new(wanted, follows.then(|| Arc::new(known)), rules, Arc::new(given)).unwrap()
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A message of the first type of a schema.
fn message(id: i32, fields: &[u8]) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], &[0], fields].concat()
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
    let mut decoder = decoder(&[schema(1, text)], wanted, false);
    decoder.push(&message(1, &bytes(hex)))?;
    Ok(rows(&mut decoder).remove(0))
}

/// The row of a message of a type with these fields.
fn read(fields: &str, hex: &str) -> Result<Vec<String>, String> {
    let text = format!("syntax = \"proto3\"; {IMPORTS} message M {{ {fields} }}");
    row(&text, hex, &chosen(&schema(1, &text))).map_err(|refusal| refusal.to_string())
}

const IMPORTS: &str = "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\"; import \"google/type/date.proto\";
    import \"google/protobuf/struct.proto\"; import \"google/protobuf/wrappers.proto\";";

#[test]
fn every_type_is_read_as_googles_library_wrote_it() {
    let wanted = chosen(&schema(1, ALL));
    let read = row(ALL, ALL_BYTES, &wanted).unwrap();
    assert_eq!(
        read[..17],
        [
            "-2147483648",
            "-9223372036854775808",
            "4294967295",
            "18446744073709551615",
            "-2147483648",
            "9223372036854775807",
            "4294967295",
            "18446744073709551615",
            "-1",
            "-9223372036854775808",
            "true",
            "1.5",
            "-0.1",
            "Gr\u{fc}\u{df}e",
            "00ff",
            "GREEN",
            "0",
        ]
    );
    assert_eq!(read[17..21], ["2024-12-31T23:59:59.123456Z", "-1.5s", "0", "n"]);
    assert_eq!(read[21], r#"{"sku":"a\"","next":{"sku":"","count":0}}"#);
    assert_eq!(read[22..24], [r#"[{"sku":"b"},{"sku":""}]"#, "[1,-2,3]"]);
    assert_eq!(read[24..26], [r#"{"x":{"sku":"c"},"y":{"sku":""}}"#, r#"{"-1":true}"#]);
    assert_eq!(read[26..], ["NULL", "NULL", "7", r#"{"a":[1.0,null,"x",{"b":false}]}"#, r#"["","w"]"#]);
    let types: Vec<DataType> = wanted.into_iter().map(|wanted| wanted.data_type).collect();
    let unsigned = DataType::Decimal128(20, 0);
    assert_eq!(types[..4], [DataType::Int32, DataType::Int64, DataType::Int64, unsigned.clone()]);
    assert_eq!(
        types[17..20],
        [DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), DataType::Utf8, unsigned]
    );
}

#[test]
fn what_is_absent_has_its_default_or_is_null_as_the_schema_says() {
    let read = row(ALL, "", &chosen(&schema(1, ALL))).unwrap();
    assert_eq!(read[..4], ["0"; 4]);
    assert_eq!(read[10..17], ["false", "0.0", "0.0", "", "", "NONE", "NULL"]);
    assert_eq!(read[17..22], ["NULL"; 5]);
    assert_eq!(read[22..26], ["[]", "[]", "{}", "{}"]);
    assert_eq!(read[26..], ["NULL", "NULL", "NULL", "NULL", "[]"]);
    // All fields of proto2 tell absent from default.
    let read = row(OLD, "0805", &chosen(&schema(1, OLD))).unwrap();
    assert_eq!(read, ["5", "NULL", "NULL", "[]", "[]", "NULL"]);
    let error = row(OLD, "4801", &chosen(&schema(1, OLD))).unwrap_err().to_string();
    assert_eq!(error, "field id: a field is missing that the schema requires (byte 8)");
}

#[test]
fn groups_lists_and_enums_of_proto2_are_read() {
    let wanted = chosen(&schema(1, OLD));
    let read = row(OLD, OLD_BYTES, &wanted).unwrap();
    assert_eq!(
        read,
        ["5", "NULL", r#"{"x":1,"inner":[{"size":"LARGE"},{"size":"SMALL"}]}"#, "[1,2]", "[3,4]", "SMALL"]
    );
    // What is packed may come one by one, and the other way round.
    let read = row(OLD, "0805 3a020102 4503000000 4504000000", &wanted).unwrap();
    assert_eq!(read[3..5], ["[1,2]", "[3,4]"]);
    // Enums of proto2 have no other values, those of proto3 do.
    let error = row(OLD, "0805 4807", &wanted).unwrap_err().to_string();
    assert_eq!(error, "field size: an enum has no value of that number (byte 9)");
    let read = row(ALL, "800107", &chosen(&schema(1, ALL))).unwrap();
    assert_eq!(read[15], "7");
}

#[test]
fn the_last_value_counts_and_messages_are_merged() {
    let lines = "message L { int32 a = 1; int32 b = 2; repeated int32 c = 3; L d = 4; }";
    let read_l = |hex| read(&format!("{lines} L l = 1; int32 n = 2;"), hex).unwrap();
    // {a:1, c:[1], d:{a:1}} and {b:2, c:[2], d:{b:2}}, with n between them, twice.
    let both = "0a08 0801 1801 2202 0801  1005  0a08 1002 1802 2202 1002  1006";
    assert_eq!(read_l(both), [r#"{"a":1,"b":2,"c":[1,2],"d":{"a":1,"b":2,"c":[]}}"#, "6"]);
    // Of a oneof the last member; what a member was before another took its place is gone.
    let choice = format!("{lines} oneof o {{ L l = 1; string s = 2; int32 n = 3; }}");
    for (hex, wanted) in [
        ("0a020801 120178 1805", ["NULL", "NULL", "5"]),
        ("1805 120178", ["NULL", "x", "NULL"]),
        ("0a020801 1805 0a021002", [r#"{"a":0,"b":2,"c":[]}"#, "NULL", "NULL"]),
        ("0a020801 0a021002", [r#"{"a":1,"b":2,"c":[]}"#, "NULL", "NULL"]),
        ("1800", ["NULL", "NULL", "0"]),
    ] {
        assert_eq!(read(&choice, hex).unwrap(), wanted, "{hex}");
    }
    // Of two entries with one key the last; keys and values have their defaults.
    let map = "map<string, int32> m = 1;";
    assert_eq!(read(map, "0a050a01611001 0a00 0a050a01611003").unwrap(), [r#"{"":0,"a":3}"#]);
}

#[test]
fn fields_that_no_schema_has_are_passed_over() {
    // A number, a text, a group in a group, 8 and 4 bytes; then the field.
    let read = read("int32 n = 1;", "1001 1a0178 23 2b2c 24 310000000000000000 3d00000000 0807").unwrap();
    assert_eq!(read, ["7"]);
}

#[test]
fn times_and_dates_are_exact_or_refused() {
    let at = "google.protobuf.Timestamp at = 1;";
    assert_eq!(read(at, "0a00").unwrap(), ["1970-01-01T00:00:00Z"]);
    // Half a second before 1970: seconds -1, nanoseconds 500,000,000.
    assert_eq!(read(at, "0a11 08ffffffffffffffffff01 1080cab5ee01").unwrap(), ["1969-12-31T23:59:59.500Z"]);
    for (hex, part) in [
        ("0a021001", "field at: the timestamp is finer than a microsecond (byte 8)"),
        ("0a0610 8094ebdc03", "nanoseconds of a timestamp are negative or more than a second"),
        ("0a0b10ffffffffffffffffff01", "nanoseconds of a timestamp are negative"),
        ("0a0a08ffffffffffffffff7f", "the timestamp is before the year 1 or too far in the future"),
    ] {
        assert!(read(at, hex).unwrap_err().contains(part), "{hex}: {:?}", read(at, hex));
    }
    // As a text it has all its digits, in a list too.
    let text = format!("syntax = \"proto3\"; {IMPORTS} message M {{ google.protobuf.Timestamp at = 1; }}");
    assert_eq!(row(&text, "0a021001", &declared("at", DataType::Utf8)).unwrap(), ["1970-01-01 00:00:00.000000001+00"]);
    let list = "repeated google.protobuf.Timestamp at = 1;";
    assert_eq!(
        read(list, "0a021001 0a00").unwrap(),
        [r#"["1970-01-01T00:00:00.000000001+00:00","1970-01-01T00:00:00+00:00"]"#]
    );
    let took = "google.protobuf.Duration d = 1;";
    assert_eq!(read(took, "0a00").unwrap(), ["0s"]);
    assert!(read(took, "0a0d0801 10ffffffffffffffffff01").unwrap_err().contains("out of their range"));
    let day = "google.type.Date d = 1;";
    assert_eq!(read(day, "0a07 08e80f 1002 181d").unwrap(), ["2024-02-29"]);
    assert!(read(day, "0a05 08e80f 1002").unwrap_err().contains("field d: the date lacks its year, month or day"));
}

#[test]
fn what_is_no_message_of_its_schema_is_refused() {
    let fields = "int32 a = 1; string s = 2; repeated int32 l = 3; M m = 4; bool b = 5; uint32 u = 6; sint32 z = 7; double d = 8;";
    for (hex, part) in [
        ("08", "field a: the message ends in the middle of a value (byte 7)"),
        ("0801 12", "field s: the message ends in the middle"),
        ("1205616263", "field s: a length is larger than what is left of the message (byte 8)"),
        ("12ffffffffffffffffff01", "field s: a length is larger"),
        ("1201ff", "field s: a string is not UTF-8 (byte 8)"),
        ("0a0161", "field a: the field is written in another way than the type that its schema gives it (byte 6)"),
        ("1001", "field s: the field is written in another way"),
        ("2001", "field m: the field is written in another way"),
        ("08ffffffffffffffffffff01", "field a: an integer has more than 64 bits"),
        ("088080808010", "field a: the integer is too large for the field's type (byte 7)"),
        ("308080808010", "field u: the integer is too large"),
        ("388080808020", "field z: the integer is too large"),
        ("2802", "field b: a boolean is neither 0 nor 1"),
        ("1a02 ff", "field l: a length is larger"),
        ("1a01 ff", "field l: the message ends in the middle"),
        ("2202 08ff", "field m: the message ends in the middle"),
        ("41000000000000f87f 220941 000000000000f87f", "field m: NaN and infinity are not numbers of JSON"),
        ("0001", "a field has a number that no field may have (byte 6)"),
        ("0e01", "a field has a wire type that there is not"),
        ("7c", "a group ends that has not begun"),
        ("7b 84", "the message ends in the middle"),
        ("7b 8401", "another group ends than the one that has begun"),
        ("7b", "the message ends in the middle"),
    ] {
        let error = read(fields, hex).unwrap_err();
        assert!(error.contains(part), "{hex}: {error}");
    }
}

#[test]
fn a_message_in_itself_ends_somewhere() {
    let nested = |depth: usize| {
        let mut inner = Vec::new();
        for _ in 0..depth {
            let mut outer = vec![0x0a];
            length(inner.len(), &mut outer);
            outer.extend(inner);
            inner = outer;
        }
        let hex: String = inner.iter().map(|byte| format!("{byte:02x}")).collect();
        read("M m = 1;", &hex)
    };
    assert!(nested(50).is_ok());
    assert!(nested(5_000).unwrap_err().contains("nested too deeply"));
    let groups = "7b".repeat(100_000);
    assert!(read("int32 a = 1;", &groups).unwrap_err().contains("nested too deeply"));
    // Many entries without a byte, each with many defaults.
    let many = (1..200).map(|number| format!("int32 a{number} = {number};")).collect::<String>();
    let error = read(&format!("message W {{ {many} }} repeated W w = 1;"), &"0a00".repeat(20_000)).unwrap_err();
    assert!(error.contains("far more values than bytes"), "{error}");
}

/// A number as Protobuf writes it.
fn length(mut value: usize, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
}
