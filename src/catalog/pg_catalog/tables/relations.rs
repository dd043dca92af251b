//! What relations are made of.

use super::super::table::Default::{Int, No, Null, Text as Usually, Yes};
use super::super::table::Kind::{Bool, Char, Float4, Int2, Int4, Int8, Name, Oid, Text, Texts};
use super::super::table::Table;

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
pub(super) static TABLES: &[Table] = &[
    Table {
        name: "pg_namespace",
        columns: &[
            ("oid", Oid, Null), ("nspname", Name, Null), ("nspowner", Oid, Int(10)), ("nspacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_class",
        columns: &[
            ("oid", Oid, Null), ("relname", Name, Null), ("relnamespace", Oid, Null), ("reltype", Oid, Int(0)),
            ("reloftype", Oid, Int(0)), ("relowner", Oid, Int(10)), ("relam", Oid, Int(0)),
            ("relfilenode", Oid, Int(0)), ("reltablespace", Oid, Int(0)), ("relpages", Int4, Int(0)),
            ("reltuples", Float4, Int(-1)), ("relallvisible", Int4, Int(0)), ("reltoastrelid", Oid, Int(0)),
            ("relhasindex", Bool, No), ("relisshared", Bool, No), ("relpersistence", Char, Usually("p")),
            ("relkind", Char, Null), ("relnatts", Int2, Null), ("relchecks", Int2, Int(0)), ("relhasrules", Bool, No),
            ("relhastriggers", Bool, No), ("relhassubclass", Bool, No), ("relrowsecurity", Bool, No),
            ("relforcerowsecurity", Bool, No), ("relispopulated", Bool, Yes), ("relreplident", Char, Usually("d")),
            ("relispartition", Bool, No), ("relrewrite", Oid, Int(0)), ("relfrozenxid", Oid, Int(0)),
            ("relminmxid", Oid, Int(0)), ("relacl", Texts, Null), ("reloptions", Texts, Null),
            ("relpartbound", Text, Null), ("tableoid", Oid, Int(1259)),
        ],
    },
    Table {
        name: "pg_attribute",
        columns: &[
            ("attrelid", Oid, Null), ("attname", Name, Null), ("atttypid", Oid, Null), ("attlen", Int2, Null),
            ("attnum", Int2, Null), ("attcacheoff", Int4, Int(-1)), ("atttypmod", Int4, Int(-1)),
            ("attndims", Int2, Int(0)), ("attbyval", Bool, No), ("attalign", Char, Usually("i")),
            ("attstorage", Char, Usually("p")), ("attcompression", Char, Usually("")), ("attnotnull", Bool, No),
            ("atthasdef", Bool, No), ("atthasmissing", Bool, No), ("attidentity", Char, Usually("")),
            ("attgenerated", Char, Usually("")), ("attisdropped", Bool, No), ("attislocal", Bool, Yes),
            ("attinhcount", Int2, Int(0)), ("attstattarget", Int2, Int(-1)), ("attcollation", Oid, Int(0)),
            ("attacl", Texts, Null), ("attoptions", Texts, Null), ("attfdwoptions", Texts, Null),
            ("attmissingval", Texts, Null),
        ],
    },
    Table {
        name: "pg_description",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("objsubid", Int4, Int(0)), ("description", Text, Null),
        ],
    },
    Table {
        name: "pg_tables",
        columns: &[
            ("schemaname", Name, Null), ("tablename", Name, Null), ("tableowner", Name, Usually("ascribe")),
            ("tablespace", Name, Null), ("hasindexes", Bool, No), ("hasrules", Bool, No), ("hastriggers", Bool, No),
            ("rowsecurity", Bool, No),
        ],
    },
    Table {
        name: "pg_views",
        columns: &[
            ("schemaname", Name, Null), ("viewname", Name, Null), ("viewowner", Name, Usually("ascribe")),
            ("definition", Text, Null),
        ],
    },
    Table {
        name: "pg_matviews",
        columns: &[
            ("schemaname", Name, Null), ("matviewname", Name, Null), ("matviewowner", Name, Null),
            ("tablespace", Name, Null), ("hasindexes", Bool, Null), ("ispopulated", Bool, Null),
            ("definition", Text, Null),
        ],
    },
    Table {
        name: "pg_attrdef",
        columns: &[
            ("oid", Oid, Null), ("adrelid", Oid, Null), ("adnum", Int2, Null), ("adbin", Text, Null),
        ],
    },
    Table {
        name: "pg_index",
        columns: &[
            ("indexrelid", Oid, Null), ("indrelid", Oid, Null), ("indnatts", Int2, Null), ("indnkeyatts", Int2, Null),
            ("indisunique", Bool, Null), ("indnullsnotdistinct", Bool, Null), ("indisprimary", Bool, Null),
            ("indisexclusion", Bool, Null), ("indimmediate", Bool, Null), ("indisclustered", Bool, Null),
            ("indisvalid", Bool, Null), ("indcheckxmin", Bool, Null), ("indisready", Bool, Null),
            ("indislive", Bool, Null), ("indisreplident", Bool, Null), ("indkey", Texts, Null),
            ("indcollation", Texts, Null), ("indclass", Texts, Null), ("indoption", Texts, Null),
            ("indexprs", Text, Null), ("indpred", Text, Null),
        ],
    },
    Table {
        name: "pg_constraint",
        columns: &[
            ("oid", Oid, Null), ("conname", Name, Null), ("connamespace", Oid, Null), ("contype", Char, Null),
            ("condeferrable", Bool, Null), ("condeferred", Bool, Null), ("convalidated", Bool, Null),
            ("conrelid", Oid, Null), ("contypid", Oid, Null), ("conindid", Oid, Null), ("conparentid", Oid, Null),
            ("confrelid", Oid, Null), ("confupdtype", Char, Null), ("confdeltype", Char, Null),
            ("confmatchtype", Char, Null), ("conislocal", Bool, Null), ("coninhcount", Int2, Null),
            ("connoinherit", Bool, Null), ("conkey", Texts, Null), ("confkey", Texts, Null),
            ("conpfeqop", Texts, Null), ("conppeqop", Texts, Null), ("conffeqop", Texts, Null),
            ("confdelsetcols", Texts, Null), ("conexclop", Texts, Null), ("conbin", Text, Null),
            ("tableoid", Oid, Int(2606)),
        ],
    },
    Table {
        name: "pg_inherits",
        columns: &[
            ("inhrelid", Oid, Null), ("inhparent", Oid, Null), ("inhseqno", Int4, Null),
            ("inhdetachpending", Bool, Null),
        ],
    },
    Table {
        name: "pg_trigger",
        columns: &[
            ("oid", Oid, Null), ("tgrelid", Oid, Null), ("tgparentid", Oid, Null), ("tgname", Name, Null),
            ("tgfoid", Oid, Null), ("tgtype", Int2, Null), ("tgenabled", Char, Null), ("tgisinternal", Bool, Null),
            ("tgconstrrelid", Oid, Null), ("tgconstrindid", Oid, Null), ("tgconstraint", Oid, Null),
            ("tgdeferrable", Bool, Null), ("tginitdeferred", Bool, Null), ("tgnargs", Int2, Null),
            ("tgattr", Texts, Null), ("tgargs", Text, Null), ("tgqual", Text, Null), ("tgoldtable", Name, Null),
            ("tgnewtable", Name, Null),
        ],
    },
    Table {
        name: "pg_rewrite",
        columns: &[
            ("oid", Oid, Null), ("rulename", Name, Null), ("ev_class", Oid, Null), ("ev_type", Char, Null),
            ("ev_enabled", Char, Null), ("is_instead", Bool, Null), ("ev_qual", Text, Null), ("ev_action", Text, Null),
        ],
    },
    Table {
        name: "pg_policy",
        columns: &[
            ("oid", Oid, Null), ("polname", Name, Null), ("polrelid", Oid, Null), ("polcmd", Char, Null),
            ("polpermissive", Bool, Null), ("polroles", Texts, Null), ("polqual", Text, Null),
            ("polwithcheck", Text, Null),
        ],
    },
    Table {
        name: "pg_policies",
        columns: &[
            ("schemaname", Name, Null), ("tablename", Name, Null), ("policyname", Name, Null),
            ("permissive", Text, Null), ("roles", Texts, Null), ("cmd", Text, Null), ("qual", Text, Null),
            ("with_check", Text, Null),
        ],
    },
    Table {
        name: "pg_statistic_ext",
        columns: &[
            ("oid", Oid, Null), ("stxrelid", Oid, Null), ("stxname", Name, Null), ("stxnamespace", Oid, Null),
            ("stxowner", Oid, Null), ("stxstattarget", Int4, Null), ("stxkeys", Texts, Null), ("stxkind", Texts, Null),
            ("stxexprs", Text, Null),
        ],
    },
    Table {
        name: "pg_sequence",
        columns: &[
            ("seqrelid", Oid, Null), ("seqtypid", Oid, Null), ("seqstart", Int8, Null), ("seqincrement", Int8, Null),
            ("seqmax", Int8, Null), ("seqmin", Int8, Null), ("seqcache", Int8, Null), ("seqcycle", Bool, Null),
        ],
    },
    Table {
        name: "pg_sequences",
        columns: &[
            ("schemaname", Name, Null), ("sequencename", Name, Null), ("sequenceowner", Name, Null),
            ("data_type", Text, Null), ("start_value", Int8, Null), ("min_value", Int8, Null),
            ("max_value", Int8, Null), ("increment_by", Int8, Null), ("cycle", Bool, Null), ("cache_size", Int8, Null),
            ("last_value", Int8, Null),
        ],
    },
    Table {
        name: "pg_indexes",
        columns: &[
            ("schemaname", Name, Null), ("tablename", Name, Null), ("indexname", Name, Null),
            ("tablespace", Name, Null), ("indexdef", Text, Null),
        ],
    },
    Table {
        name: "pg_depend",
        columns: &[
            ("classid", Oid, Null), ("objid", Oid, Null), ("objsubid", Int4, Null), ("refclassid", Oid, Null),
            ("refobjid", Oid, Null), ("refobjsubid", Int4, Null), ("deptype", Char, Null),
        ],
    },
    Table {
        name: "pg_partitioned_table",
        columns: &[
            ("partrelid", Oid, Null), ("partstrat", Char, Null), ("partnatts", Int2, Null), ("partdefid", Oid, Null),
            ("partattrs", Texts, Null), ("partclass", Texts, Null), ("partcollation", Texts, Null),
            ("partexprs", Text, Null),
        ],
    },
    Table {
        name: "pg_rules",
        columns: &[
            ("schemaname", Name, Null), ("tablename", Name, Null), ("rulename", Name, Null),
            ("definition", Text, Null),
        ],
    },
];
