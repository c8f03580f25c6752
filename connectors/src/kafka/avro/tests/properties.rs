//! What holds for every value and for all bytes.

use proptest::prelude::*;

use super::*;

/// Values of a schema that holds itself, as JSON.
fn trees() -> impl Strategy<Value = Value> {
    let leaf = (any::<i64>(), ".{0,8}", any::<bool>())
        .prop_map(|(number, text, flag)| json!({ "n": number, "s": text, "f": flag, "c": [], "m": {} }));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let children =
            (prop::collection::vec(inner.clone(), 0..4), prop::collection::btree_map("[a-z]{1,3}", inner, 0..3));
        (any::<i64>(), ".{0,8}", children)
            .prop_map(|(number, text, (list, map))| json!({ "n": number, "s": text, "f": null, "c": list, "m": map }))
    })
}

const TREE: &str = r#"{"type":"record","name":"T","fields":[{"name":"n","type":"long"},{"name":"s","type":"string"},
    {"name":"f","type":["null","boolean"]},{"name":"c","type":{"type":"array","items":"T"}},{"name":"m","type":{"type":"map","values":"T"}}]}"#;

fn root(tree: &str) -> Arc<Schema> {
    schema(1, &format!(r#"{{"type":"record","name":"Root","fields":[{{"name":"t","type":{tree}}}]}}"#))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn values_come_back_and_no_part_of_them_is_a_message(tree in trees(), cut in any::<prop::sample::Index>()) {
        let schema = root(TREE);
        let wanted = chosen(&schema);
        let encoded = default::encode(&schema, schema.fields()[0].node, &tree).unwrap();
        let whole = message(1, &encoded);
        let mut decoder = decoder(&[schema], &wanted, None, false);
        decoder.push(&whole).unwrap();
        prop_assert!(decoder.push(&whole[..cut.index(whole.len())]).is_err());
        prop_assert!(decoder.push(&[&whole[..], &[0]].concat()).is_err());
        prop_assert_eq!(rows(&mut decoder), [[tree.to_string()]]);
    }

    #[test]
    fn bytes_of_any_kind_are_read_or_refused_as_a_whole(records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6), which in 0_usize..4) {
        let schema = schema(1, [ALL, NESTED, LIST, DEFAULTS][which]);
        let mut decoder = decoder(&[Arc::clone(&schema)], &chosen(&schema), None, false);
        let taken = records.iter().filter(|record| decoder.push(&message(1, record)).is_ok()).count();
        prop_assert_eq!(decoder.take().unwrap().iter().filter(|array| array.len() != taken).count(), 0);
    }

    #[test]
    fn bytes_that_were_changed_are_read_or_refused_as_a_whole(at in any::<prop::sample::Index>(), byte: u8) {
        let schema = schema(1, ALL);
        let mut decoder = decoder(&[Arc::clone(&schema)], &chosen(&schema), None, false);
        let mut record = bytes(ALL_BYTES);
        let at = at.index(record.len());
        record[at] = byte;
        let taken = usize::from(decoder.push(&message(1, &record)).is_ok());
        decoder.push(&message(1, &bytes(ALL_BYTES))).unwrap();
        prop_assert_eq!(decoder.take().unwrap().iter().filter(|array| array.len() != taken + 1).count(), 0);
    }

    #[test]
    fn decimals_are_written_with_all_their_digits(value: i128, scale in 0_usize..45, extra in 0_usize..8) {
        let sign = if value < 0 { 0xff } else { 0 };
        let bytes = [&vec![sign; extra][..], &value.to_be_bytes()].concat();
        let written = text::decimal(&bytes, scale).unwrap();
        let digits: String = written.chars().filter(|character| *character != '.').collect();
        prop_assert_eq!(digits.parse::<i128>().unwrap(), value);
        prop_assert_eq!(written.split_once('.').map_or(0, |(_, fraction)| fraction.len()), scale);
        prop_assert_eq!(text::unscaled(&bytes), Ok(value));
    }
}
