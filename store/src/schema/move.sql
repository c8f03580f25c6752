-- Moves the tables, views, domains and functions of the first versions out of `public`, where they stood, and leaves a floor behind that their
-- binaries refuse. The names are those of the migrations up to 0011; later ones never were in `public`.
DO $$
DECLARE
    item record;
BEGIN
    FOR item IN
        SELECT c.oid::regclass AS name
        FROM pg_class c
        LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        LEFT JOIN pg_class parent ON parent.oid = i.inhparent AND parent.relnamespace = 'public'::regnamespace
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
          AND COALESCE(parent.relname, c.relname) = ANY (ARRAY[
              'attempts', 'compat_floor', 'connections', 'deps', 'fires', 'intents', 'leases', 'limits', 'loads', 'logs', 'pipelines', 'ready',
              'runs', 'schedules', 'stage_run_limits', 'stage_runs', 'task_runs', 'versions', 'wakes', 'workers', 'workspaces', '_sqlx_migrations'])
    LOOP
        EXECUTE format('ALTER TABLE %s SET SCHEMA headwater', item.name);
    END LOOP;
    FOR item IN
        SELECT t.oid::regtype AS name FROM pg_type t
        WHERE t.typnamespace = 'public'::regnamespace AND t.typtype = 'd' AND t.typname = ANY (ARRAY[
            'attempt_kind', 'attempt_number', 'attempt_state', 'countdown', 'run_state', 'stage_run_ending', 'stage_run_state', 'task_run_state'])
    LOOP
        EXECUTE format('ALTER DOMAIN %s SET SCHEMA headwater', item.name);
    END LOOP;
    FOR item IN
        SELECT f.oid::regprocedure AS name FROM pg_proc f
        WHERE f.pronamespace = 'public'::regnamespace AND f.proname = ANY (ARRAY[
            'drop_empty_history', 'finish_link', 'first_id', 'forget_runs', 'history_fillfactor', 'lock_history', 'prepare_history', 'refuse_change',
            'uuid_v7'])
          -- An extension may bring a function of the same name.
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = f.oid AND d.deptype = 'e')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET SCHEMA headwater', item.name);
    END LOOP;
    CREATE TABLE public.compat_floor (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        floor integer NOT NULL
    );
    INSERT INTO public.compat_floor (floor) VALUES (2);
    COMMENT ON TABLE public.compat_floor IS 'Headwater''s tables are in the schema headwater; this keeps binaries from before that away.';
END $$
