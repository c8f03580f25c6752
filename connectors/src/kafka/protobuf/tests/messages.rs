//! Messages of several schemas and types, and schemas that are none.

use super::*;

const FIRST: &str = "syntax = \"proto3\"; package a; message One { int32 id = 1; string gone = 2; } message Two { message In { bool b = 1; } int32 x = 1; }";

const SECOND: &str = "syntax = \"proto3\"; package a; message One { int64 id = 1; string note = 3; }";

fn two() -> [Schema; 2] {
    [schema(1, FIRST), schema(2, SECOND)]
}

#[test]
fn a_message_names_its_type_by_its_place() {
    let [first, _] = two();
    let wanted = [chosen(&first), chosen(&first.at(&[1]).unwrap()), chosen(&first.at(&[1, 0]).unwrap())].concat();
    let mut decoder = decoder(&[first], &wanted, false);
    let message = |place: &str, fields: &str| bytes(&format!("00 00000001 {place} {fields}"));
    decoder.push(&message("00", "0805 120161")).unwrap();
    decoder.push(&message("02 02", "0807")).unwrap();
    decoder.push(&message("04 02 00", "0801")).unwrap();
    decoder.push(&message("02 00", "0806")).unwrap();
    assert_eq!(
        rows(&mut decoder),
        [
            ["5", "a", "NULL", "NULL"],
            ["NULL", "NULL", "7", "NULL"],
            ["NULL", "NULL", "NULL", "true"],
            ["6", "", "NULL", "NULL"]
        ]
    );
    for (place, part) in [
        ("02 08", "schema 1 has no message type in the place that the message names (byte 5)"),
        ("04 02", "the place of the message's type in its schema is not given"),
        ("01", "the place of the message's type in its schema is not given"),
        ("feffffff0f", "the place of the message's type in its schema is not given"),
    ] {
        let error = decoder.push(&message(place, "")).unwrap_err().to_string();
        assert!(error.contains(part), "{place}: {error}");
    }
}

#[test]
fn messages_of_several_schemas_share_their_columns() {
    let [first, second] = two();
    let mut wanted = chosen(&second);
    wanted.push(chosen(&first).remove(1));
    let mut decoder = decoder(&two(), &wanted, true);
    decoder.push(&message(1, &bytes("0805 120161"))).unwrap();
    decoder.push(&message(2, &bytes("08808080808080 20 1a0162"))).unwrap();
    decoder.push_nulls();
    // A field that the message's schema lacks is NULL, and one that is absent has its default.
    decoder.push(&message(2, &[])).unwrap();
    assert_eq!(
        rows(&mut decoder),
        [["5", "NULL", "a"], ["140737488355328", "b", "NULL"], ["NULL"; 3], ["0", "", "NULL"]]
    );
}

#[test]
fn a_schema_that_needs_other_columns_is_noticed_by_those_who_follow() {
    let [first, second] = two();
    let push = |wanted: &[Wanted], follows| decoder(&two(), wanted, follows).push(&message(2, &bytes("0805")));
    let error = push(&chosen(&first), true).unwrap_err();
    assert!(matches!(error, Refusal::Unseen { id: 2, .. }), "{error}");
    let mut narrow = chosen(&second);
    narrow[0].data_type = DataType::Int32;
    let error = push(&narrow, true).unwrap_err();
    assert!(matches!(&error, Refusal::Unseen { field, .. } if field == "id"), "{error}");
    // Otherwise values decide.
    push(&narrow, false).unwrap();
}

#[test]
fn types_that_a_person_declares_are_exact_or_refused() {
    let text = "syntax = \"proto3\"; message M { int64 l = 1; string s = 2; uint64 u = 3; bytes y = 4; bool b = 5; repeated int32 r = 6; float f = 7; }";
    // 9007199254740993, "12.5", 2^64 - 1, "ab"
    let hex = "0881808080808080 10 120431322e35 18ffffffffffffffffff01 22026162 2801 3d0000003f";
    let read = |name: &str, data_type: DataType| row(text, hex, &declared(name, data_type));
    assert_eq!(read("l", DataType::Decimal128(20, 1)).unwrap(), ["9007199254740993.0"]);
    assert_eq!(read("s", DataType::Decimal128(6, 2)).unwrap(), ["12.50"]);
    assert_eq!(read("u", DataType::Utf8).unwrap(), ["18446744073709551615"]);
    assert_eq!(read("y", DataType::Utf8).unwrap(), ["ab"]);
    assert_eq!(read("b", DataType::Utf8).unwrap(), ["true"]);
    assert_eq!(read("f", DataType::Float64).unwrap(), ["0.5"]);
    let raw = [Wanted { name: "y".to_owned(), data_type: DataType::Utf8, reading: Reading::Raw }];
    assert_eq!(row(text, hex, &raw).unwrap(), ["\"YWI=\""]);
    for (name, data_type, part) in [
        ("l", DataType::Float64, "field l: the column's type does not hold all digits"),
        ("l", DataType::Int32, "field l: the number is too large"),
        ("u", DataType::Int64, "field u: the number is too large"),
        ("l", DataType::Boolean, "does not fit the column's type"),
        ("s", DataType::Int64, "field s: the number has a fraction"),
        ("r", DataType::Utf8, "does not fit the column's type"),
    ] {
        let error = read(name, data_type).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("90071") && !error.contains("12.5"), "{error}");
    }
}

#[test]
fn schemas_import_others_or_are_refused() {
    let money = Named {
        name: "shop/money.proto".to_owned(),
        text: "syntax = \"proto3\"; package shop; message Money { int64 units = 1; }".to_owned(),
    };
    let order = "syntax = \"proto3\"; package shop; import \"shop/money.proto\"; import \"confluent/meta.proto\"; import \"google/type/date.proto\";
        message Order { Money price = 1 [(confluent.field_meta).doc = \"gross\"]; google.type.Date day = 2; }";
    let found = Schema::parse(1, order, std::slice::from_ref(&money)).unwrap();
    assert_eq!(found.type_name(), "shop.Order");
    // As some serializers register it: the descriptor of a file in base64.
    let described =
        "ChBzaG9wL290aGVyLnByb3RvEgRzaG9wGhBzaG9wL21vbmV5LnByb3RvIhcKBU90aGVyEg4KAmlkGAEgASgDUgJpZGIGcHJvdG8z";
    let other = Schema::parse(1, described, std::slice::from_ref(&money)).unwrap();
    assert_eq!((other.type_name(), other.fields()[0].name), ("shop.Other", "id"));
    let deep = format!("syntax = \"proto3\"; {} {}", "message A {".repeat(100_000), "}".repeat(100_000));
    for (text, part) in [
        (order, "import 'shop/money.proto' not found"),
        ("syntax = \"proto3\"; enum E { A = 0; }", "it has no message type"),
        ("message", "expected"),
        ("", "it has no message type"),
        ("syntax = \"proto3\"; message M { Gone g = 1; }", "'Gone'"),
        ("edition = \"2023\"; message M { int32 a = 1; }", "expected"),
        (deep.as_str(), "nested too deeply"),
    ] {
        let error = Schema::parse(1, text, &[]).unwrap_err();
        assert!(error.contains(part) && error.len() < 400, "{error}");
    }
    let round = [
        Named { name: "a.proto".to_owned(), text: "import \"b.proto\";".to_owned() },
        Named { name: "b.proto".to_owned(), text: "import \"a.proto\";".to_owned() },
    ];
    let error = Schema::parse(1, "syntax = \"proto3\"; import \"a.proto\"; message M {}", &round).unwrap_err();
    assert!(error.contains("cycle"), "{error}");
    // Who names a type as Google does, and gives it other fields, has his own.
    let own = "syntax = \"proto3\"; package google.protobuf; message Int64Value { Int64Value value = 1; } message Timestamp { string s = 1; }";
    assert!(Schema::parse(1, own, &[]).unwrap().fields()[0].shape.unwrap().data_type().is_none());
}
