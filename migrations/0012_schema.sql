-- Everything is in the schema `headwater`, which the sessions' search_path names. Two functions looked for their tables in `public`.
SET LOCAL lock_timeout = '8s';

-- Binaries that look into `public` may not run any more.
UPDATE compat_floor SET floor = 2;

-- In a new schema migration 0007 found no partitions to give this room to.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN
        SELECT c.oid::regclass AS name, p.relname AS history
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relkind = 'p' AND p.relname IN ('stage_runs', 'attempts', 'task_runs') AND p.oid = to_regclass(p.relname::text)
    LOOP
        EXECUTE format('ALTER TABLE %s SET (fillfactor = %s)', part.name, history_fillfactor(part.history));
    END LOOP;
END $$;

-- Drops the partitions of months that are over and empty. Returns how many were dropped.
CREATE OR REPLACE FUNCTION drop_empty_history() RETURNS integer
LANGUAGE plpgsql
AS $$
DECLARE
    part record;
    filled boolean;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('headwater history'));
    FOR part IN
        SELECT c.relname AS name, p.relname AS history
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.relname IN ('stage_runs', 'deps', 'attempts', 'task_runs', 'logs') AND p.oid = to_regclass(p.relname::text)
          AND c.relname ~ '_[0-9]{6}$'
          AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' < clock_timestamp() AT TIME ZONE 'UTC'
        -- What refers to stage runs goes first.
        ORDER BY p.relname = 'stage_runs', c.relname
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', part.name) INTO filled;
        CONTINUE WHEN filled;
        IF dropped = 0 THEN
            -- Nobody can have filled it meanwhile: its month is over.
            PERFORM lock_history();
        END IF;
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', part.history, part.name);
        EXECUTE format('DROP TABLE %I', part.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;
