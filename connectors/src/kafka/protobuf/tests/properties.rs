//! What holds for all bytes.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn bytes_of_any_kind_are_read_or_refused_as_a_whole(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..6), which in 0_usize..2) {
        let schema = schema(1, [ALL, OLD][which]);
        let mut decoder = decoder(std::slice::from_ref(&schema), &chosen(&schema), false);
        let taken = messages.iter().filter(|fields| decoder.push(&message(1, fields)).is_ok()).count();
        prop_assert_eq!(decoder.take().unwrap().iter().filter(|array| array.len() != taken).count(), 0);
    }

    #[test]
    fn bytes_that_were_changed_are_read_or_refused_as_a_whole(at in any::<prop::sample::Index>(), byte: u8, which in 0_usize..2) {
        let (text, hex) = [(ALL, ALL_BYTES), (OLD, OLD_BYTES)][which];
        let schema = schema(1, text);
        let mut decoder = decoder(std::slice::from_ref(&schema), &chosen(&schema), false);
        let mut fields = bytes(hex);
        let at = at.index(fields.len());
        fields[at] = byte;
        let taken = usize::from(decoder.push(&message(1, &fields)).is_ok());
        decoder.push(&message(1, &bytes(hex))).unwrap();
        prop_assert_eq!(decoder.take().unwrap().iter().filter(|array| array.len() != taken + 1).count(), 0);
    }

    #[test]
    fn fields_may_come_in_any_order(pairs in prop::collection::vec((0_usize..3, any::<i64>()), 0..12)) {
        let text = "syntax = \"proto3\"; message M { int64 a = 1; repeated int64 b = 2; optional int64 c = 3; }";
        let schema = schema(1, text);
        let mut fields = Vec::new();
        let mut wanted = ["0".to_owned(), String::new(), "NULL".to_owned()];
        let mut list = Vec::new();
        for (slot, value) in pairs {
            fields.push(u8::try_from((slot + 1) << 3).unwrap());
            length(usize::try_from(value as u64).unwrap(), &mut fields);
            match slot {
                1 => list.push(value.to_string()),
                slot => wanted[slot] = value.to_string(),
            }
        }
        wanted[1] = format!("[{}]", list.join(","));
        let mut decoder = decoder(std::slice::from_ref(&schema), &chosen(&schema), false);
        decoder.push(&message(1, &fields)).unwrap();
        prop_assert_eq!(&rows(&mut decoder)[0], &wanted.to_vec());
    }
}
