-- Ids in a third of the time: a stage run makes four of them. The time counts as before, in 4096ths of a millisecond, so that old and new ids
-- sort together; a double holds it exactly until 2039 and to a microsecond after that. The rest comes from the session's own generator, which the
-- operating system seeds, instead of the operating system each time: an id has to be unique and not secret. Tokens of leases stay as they are.
CREATE OR REPLACE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$
    SELECT (overlay(lpad(to_hex((date_part('epoch', clock_timestamp()) * 4096000)::bigint), 15, '0') PLACING '7' FROM 13 FOR 0)
            || to_hex((random() * 4611686018427387904)::bigint | (-9223372036854775807 - 1)))::uuid
$$;
