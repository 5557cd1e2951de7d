/** What the databases of the tests consist of. */
const SCHEMAS = `('public', 'pgboss')`;
/** Up to this size deleting row by row is cheaper than a new file for the table and each index. */
const SMALL_BYTES = 128 * 1024;

/**
 * Run once on the template of the tests' databases: notes how it is, so that `SELECT pristine.restore()` can make each copy
 * so again, in a tenth of the time that another copy takes. It answers false, and has done nothing, if more than rows has
 * changed: a table is gone, or another of the same name, a trigger was added, a migration undone.
 */
export const NOTE_PRISTINE = `
  CREATE SCHEMA pristine;

  CREATE FUNCTION pristine.shape() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(line, E'\\n' ORDER BY line COLLATE "C") FROM (
      SELECT concat_ws(' ', class.oid, class.oid::regclass, class.relkind, attname, format_type(atttypid, atttypmod), attnotnull,
        pg_get_expr(adbin, adrelid)) AS line
      FROM pg_class AS class
      LEFT JOIN pg_attribute ON attrelid = class.oid AND attnum > 0 AND NOT attisdropped
      LEFT JOIN pg_attrdef ON adrelid = class.oid AND adnum = attnum
      WHERE relnamespace::regnamespace::text IN ${SCHEMAS}
      UNION ALL
      SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class AS class ON class.oid = indrelid
      WHERE relnamespace::regnamespace::text IN ${SCHEMAS}
      UNION ALL
      SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace::regnamespace::text IN ${SCHEMAS}
      UNION ALL
      SELECT concat_ws(' ', pg_get_triggerdef(trigger.oid), tgenabled) FROM pg_trigger AS trigger WHERE NOT tgisinternal
      UNION ALL
      SELECT pg_get_functiondef(oid) FROM pg_proc
      WHERE pronamespace::regnamespace::text IN ${SCHEMAS} AND prokind = 'f'
    ) AS lines
  $$;

  CREATE TABLE pristine.noted AS SELECT pristine.shape() AS shape;
  -- By their names: what was dropped and made again has another number.
  CREATE TABLE pristine.sequences AS
    SELECT seqrelid::regclass::text AS name, pg_sequence_last_value(seqrelid) AS value FROM pg_sequence;
  CREATE TABLE pristine.rows ("table" text, contents json);

  DO $$
    DECLARE one regclass;
    BEGIN
      FOR one IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ${SCHEMAS} LOOP
        EXECUTE format(
          'INSERT INTO pristine.rows SELECT %L, json_agg(one) FROM %s AS one HAVING COUNT(*) > 0', one, one);
      END LOOP;
    END
  $$;

  CREATE FUNCTION pristine.restore() RETURNS boolean LANGUAGE plpgsql AS $$
    DECLARE one record;
    BEGIN
      IF pristine.shape() IS DISTINCT FROM (SELECT shape FROM pristine.noted) THEN RETURN false; END IF;
      -- No foreign key and no trigger interferes.
      SET LOCAL session_replication_role = replica;
      FOR one IN
        SELECT oid::regclass AS name, pg_relation_size(oid) AS size FROM pg_class
        WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ${SCHEMAS} AND pg_relation_size(oid) > 0
      LOOP
        IF one.size > ${SMALL_BYTES} THEN EXECUTE format('TRUNCATE %s CASCADE', one.name);
        ELSE EXECUTE format('DELETE FROM %s', one.name);
        END IF;
      END LOOP;
      FOR one IN SELECT "table" AS name, contents FROM pristine.rows LOOP
        EXECUTE format(
          'INSERT INTO %s OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::%s, $1)', one.name, one.name)
          USING one.contents;
      END LOOP;
      PERFORM setval(seqrelid, COALESCE(value, seqstart), value IS NOT NULL)
      FROM pg_sequence JOIN pristine.sequences ON name = seqrelid::regclass::text
      WHERE pg_sequence_last_value(seqrelid) IS DISTINCT FROM value;
      RETURN true;
    END
  $$;
`;
