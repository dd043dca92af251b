//! The tables of `pg_catalog` by name and columns (PostgreSQL, chapter 53), with what a column is where a row does not
//! say. A table that [`super::rows`] has no rows for is empty: there is nothing of its kind here.

use super::table::Default::{Int, No, Null, Text as Usually, Yes};
use super::table::Kind::{Bool, Char, Float4, Int2, Int4, Int8, Name, Oid, Text, Texts, Time};
use super::table::Table;

/// Every table of the catalog.
pub(super) fn all() -> impl Iterator<Item = &'static Table> {
    TABLES.iter()
}

/// The table of a name.
pub(super) fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
static TABLES: &[Table] = &[
    Table {
        name: "pg_get_keywords",
        columns: &[
            ("word", Text, Null), ("catcode", Char, Usually("U")), ("barelabel", Bool, Yes),
            ("catdesc", Text, Usually("unreserved")), ("baredesc", Text, Usually("can be bare label")),
        ],
    },
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
        name: "pg_type",
        columns: &[
            ("oid", Oid, Null), ("typname", Name, Null), ("typnamespace", Oid, Int(11)), ("typowner", Oid, Int(10)),
            ("typlen", Int2, Null), ("typbyval", Bool, No), ("typtype", Char, Usually("b")),
            ("typcategory", Char, Null), ("typispreferred", Bool, No), ("typisdefined", Bool, Yes),
            ("typdelim", Char, Usually(",")), ("typrelid", Oid, Int(0)), ("typsubscript", Text, Usually("-")),
            ("typelem", Oid, Int(0)), ("typarray", Oid, Int(0)), ("typinput", Text, Null), ("typoutput", Text, Null),
            ("typreceive", Text, Null), ("typsend", Text, Null), ("typmodin", Text, Usually("-")),
            ("typmodout", Text, Usually("-")), ("typanalyze", Text, Usually("-")), ("typalign", Char, Usually("i")),
            ("typstorage", Char, Usually("p")), ("typnotnull", Bool, No), ("typbasetype", Oid, Int(0)),
            ("typtypmod", Int4, Int(-1)), ("typndims", Int4, Int(0)), ("typcollation", Oid, Int(0)),
            ("typdefaultbin", Text, Null), ("typdefault", Text, Null), ("typacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_proc",
        columns: &[
            ("oid", Oid, Null), ("proname", Name, Null), ("pronamespace", Oid, Null), ("proowner", Oid, Int(10)),
            ("prolang", Oid, Int(12)), ("procost", Float4, Int(1)), ("prorows", Float4, Int(0)),
            ("provariadic", Oid, Int(0)), ("prosupport", Text, Usually("-")), ("prokind", Char, Null),
            ("prosecdef", Bool, No), ("proleakproof", Bool, No), ("proisstrict", Bool, No), ("proretset", Bool, No),
            ("provolatile", Char, Usually("s")), ("proparallel", Char, Usually("s")), ("pronargs", Int2, Int(0)),
            ("pronargdefaults", Int2, Int(0)), ("prorettype", Oid, Null), ("proargtypes", Text, Usually("")),
            ("proallargtypes", Texts, Null), ("proargmodes", Texts, Null), ("proargnames", Texts, Null),
            ("proargdefaults", Text, Null), ("protrftypes", Texts, Null), ("prosrc", Text, Usually("")),
            ("probin", Text, Null), ("prosqlbody", Text, Null), ("proconfig", Texts, Null), ("proacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_description",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("objsubid", Int4, Int(0)), ("description", Text, Null),
        ],
    },
    Table {
        name: "pg_shdescription",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("description", Text, Null),
        ],
    },
    Table {
        name: "pg_database",
        columns: &[
            ("oid", Oid, Null), ("datname", Name, Null), ("datdba", Oid, Int(10)), ("encoding", Int4, Int(6)),
            ("datlocprovider", Char, Usually("c")), ("datistemplate", Bool, No), ("datallowconn", Bool, Yes),
            ("datconnlimit", Int4, Int(-1)), ("datfrozenxid", Oid, Int(0)), ("datminmxid", Oid, Int(0)),
            ("dattablespace", Oid, Int(1663)), ("datcollate", Text, Usually("C")), ("datctype", Text, Usually("C")),
            ("daticulocale", Text, Null), ("daticurules", Text, Null), ("datcollversion", Text, Null),
            ("datacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_tablespace",
        columns: &[
            ("oid", Oid, Null), ("spcname", Name, Null), ("spcowner", Oid, Int(10)), ("spcacl", Texts, Null),
            ("spcoptions", Texts, Null),
        ],
    },
    Table {
        name: "pg_roles",
        columns: &[
            ("oid", Oid, Null), ("rolname", Name, Null), ("rolsuper", Bool, No), ("rolinherit", Bool, Yes),
            ("rolcreaterole", Bool, No), ("rolcreatedb", Bool, No), ("rolcanlogin", Bool, Yes),
            ("rolreplication", Bool, No), ("rolconnlimit", Int4, Int(-1)), ("rolpassword", Text, Null),
            ("rolvaliduntil", Time, Null), ("rolbypassrls", Bool, No), ("rolconfig", Texts, Null),
        ],
    },
    Table {
        name: "pg_user",
        columns: &[
            ("usename", Name, Null), ("usesysid", Oid, Null), ("usecreatedb", Bool, No), ("usesuper", Bool, No),
            ("userepl", Bool, No), ("usebypassrls", Bool, No), ("passwd", Text, Null), ("valuntil", Time, Null),
            ("useconfig", Texts, Null),
        ],
    },
    Table {
        name: "pg_auth_members",
        columns: &[
            ("oid", Oid, Null), ("roleid", Oid, Null), ("member", Oid, Null), ("grantor", Oid, Null),
            ("admin_option", Bool, No), ("inherit_option", Bool, Yes), ("set_option", Bool, Yes),
        ],
    },
    Table {
        name: "pg_am",
        columns: &[
            ("oid", Oid, Null), ("amname", Name, Null), ("amhandler", Text, Null), ("amtype", Char, Usually("t")),
        ],
    },
    Table {
        name: "pg_collation",
        columns: &[
            ("oid", Oid, Null), ("collname", Name, Null), ("collnamespace", Oid, Int(11)),
            ("collowner", Oid, Int(10)), ("collprovider", Char, Null), ("collisdeterministic", Bool, Yes),
            ("collencoding", Int4, Int(-1)), ("collcollate", Text, Null), ("collctype", Text, Null),
            ("colliculocale", Text, Null), ("collicurules", Text, Null), ("collversion", Text, Null),
        ],
    },
    Table {
        name: "pg_language",
        columns: &[
            ("oid", Oid, Null), ("lanname", Name, Null), ("lanowner", Oid, Int(10)), ("lanispl", Bool, No),
            ("lanpltrusted", Bool, No), ("lanplcallfoid", Oid, Int(0)), ("laninline", Oid, Int(0)),
            ("lanvalidator", Oid, Int(0)), ("lanacl", Texts, Null), ("tableoid", Oid, Int(2612)),
        ],
    },
    Table {
        name: "pg_settings",
        columns: &[
            ("name", Text, Null), ("setting", Text, Null), ("unit", Text, Null),
            ("category", Text, Usually("Session")), ("short_desc", Text, Null), ("extra_desc", Text, Null),
            ("context", Text, Usually("user")), ("vartype", Text, Usually("string")),
            ("source", Text, Usually("default")), ("min_val", Text, Null), ("max_val", Text, Null),
            ("enumvals", Texts, Null), ("boot_val", Text, Null), ("reset_val", Text, Null),
            ("sourcefile", Text, Null), ("sourceline", Int4, Null), ("pending_restart", Bool, No),
        ],
    },
    Table {
        name: "pg_stat_activity",
        columns: &[
            ("datid", Oid, Int(16383)), ("datname", Name, Usually("ascribe")), ("pid", Int4, Null),
            ("leader_pid", Int4, Null), ("usesysid", Oid, Null), ("usename", Name, Null),
            ("application_name", Text, Null), ("client_addr", Text, Null), ("client_hostname", Text, Null),
            ("client_port", Int4, Null), ("backend_start", Time, Null), ("xact_start", Time, Null),
            ("query_start", Time, Null), ("state_change", Time, Null), ("wait_event_type", Text, Null),
            ("wait_event", Text, Null), ("state", Text, Null), ("backend_xid", Oid, Null),
            ("backend_xmin", Oid, Null), ("query_id", Int8, Null), ("query", Text, Null),
            ("backend_type", Text, Usually("client backend")),
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
            ("connoinherit", Bool, Null), ("conkey", Texts, Null), ("confkey", Texts, Null), ("conbin", Text, Null), ("tableoid", Oid, Int(2606)),
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
            ("tgdeferrable", Bool, Null), ("tginitdeferred", Bool, Null), ("tgqual", Text, Null),
        ],
    },
    Table {
        name: "pg_rewrite",
        columns: &[
            ("oid", Oid, Null), ("rulename", Name, Null), ("ev_class", Oid, Null), ("ev_type", Char, Null),
            ("ev_enabled", Char, Null), ("is_instead", Bool, Null),
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
        name: "pg_publication",
        columns: &[
            ("oid", Oid, Null), ("pubname", Name, Null), ("pubowner", Oid, Null), ("puballtables", Bool, Null),
            ("pubinsert", Bool, Null), ("pubupdate", Bool, Null), ("pubdelete", Bool, Null),
            ("pubtruncate", Bool, Null), ("pubviaroot", Bool, Null),
        ],
    },
    Table {
        name: "pg_publication_rel",
        columns: &[
            ("oid", Oid, Null), ("prpubid", Oid, Null), ("prrelid", Oid, Null), ("prqual", Text, Null),
            ("prattrs", Texts, Null),
        ],
    },
    Table {
        name: "pg_publication_namespace",
        columns: &[
            ("oid", Oid, Null), ("pnpubid", Oid, Null), ("pnnspid", Oid, Null),
        ],
    },
    Table {
        name: "pg_subscription",
        columns: &[
            ("oid", Oid, Null), ("subname", Name, Null), ("subowner", Oid, Null), ("subenabled", Bool, Null),
            ("subdbid", Oid, Null),
        ],
    },
    Table {
        name: "pg_statistic_ext",
        columns: &[
            ("oid", Oid, Null), ("stxrelid", Oid, Null), ("stxname", Name, Null), ("stxnamespace", Oid, Null),
            ("stxowner", Oid, Null), ("stxstattarget", Int4, Null), ("stxkeys", Texts, Null),
            ("stxkind", Texts, Null),
        ],
    },
    Table {
        name: "pg_extension",
        columns: &[
            ("oid", Oid, Null), ("extname", Name, Null), ("extowner", Oid, Null), ("extnamespace", Oid, Null),
            ("extrelocatable", Bool, Null), ("extversion", Text, Null),
        ],
    },
    Table {
        name: "pg_available_extensions",
        columns: &[
            ("name", Name, Null), ("default_version", Text, Null), ("installed_version", Text, Null),
            ("comment", Text, Null),
        ],
    },
    Table {
        name: "pg_enum",
        columns: &[
            ("oid", Oid, Null), ("enumtypid", Oid, Null), ("enumsortorder", Float4, Null), ("enumlabel", Name, Null),
        ],
    },
    Table {
        name: "pg_range",
        columns: &[
            ("rngtypid", Oid, Null), ("rngsubtype", Oid, Null), ("rngmultitypid", Oid, Null),
            ("rngcollation", Oid, Null), ("rngsubopc", Oid, Null), ("rngcanonical", Oid, Null),
            ("rngsubdiff", Oid, Null),
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
            ("data_type", Text, Null),
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
        name: "pg_operator",
        columns: &[
            ("oid", Oid, Null), ("oprname", Name, Null), ("oprnamespace", Oid, Null), ("oprowner", Oid, Null),
            ("oprkind", Char, Null), ("oprleft", Oid, Null), ("oprright", Oid, Null), ("oprresult", Oid, Null),
            ("oprcode", Oid, Null),
        ],
    },
    Table {
        name: "pg_opclass",
        columns: &[
            ("oid", Oid, Null), ("opcmethod", Oid, Null), ("opcname", Name, Null), ("opcnamespace", Oid, Null),
            ("opcowner", Oid, Null), ("opcfamily", Oid, Null), ("opcintype", Oid, Null), ("opcdefault", Bool, Null),
            ("opckeytype", Oid, Null),
        ],
    },
    Table {
        name: "pg_cast",
        columns: &[
            ("oid", Oid, Null), ("castsource", Oid, Null), ("casttarget", Oid, Null), ("castfunc", Oid, Null),
            ("castcontext", Char, Null), ("castmethod", Char, Null),
        ],
    },
    Table {
        name: "pg_conversion",
        columns: &[
            ("oid", Oid, Null), ("conname", Name, Null), ("connamespace", Oid, Null), ("conowner", Oid, Null),
            ("conforencoding", Int4, Null), ("contoencoding", Int4, Null), ("condefault", Bool, Null),
        ],
    },
    Table {
        name: "pg_aggregate",
        columns: &[
            ("aggfnoid", Oid, Null), ("aggkind", Char, Null), ("aggnumdirectargs", Int2, Null),
        ],
    },
    Table {
        name: "pg_foreign_data_wrapper",
        columns: &[
            ("oid", Oid, Null), ("fdwname", Name, Null), ("fdwowner", Oid, Null), ("fdwhandler", Oid, Null),
            ("fdwvalidator", Oid, Null), ("fdwacl", Texts, Null), ("fdwoptions", Texts, Null),
        ],
    },
    Table {
        name: "pg_foreign_server",
        columns: &[
            ("oid", Oid, Null), ("srvname", Name, Null), ("srvowner", Oid, Null), ("srvfdw", Oid, Null),
            ("srvtype", Text, Null), ("srvversion", Text, Null), ("srvacl", Texts, Null), ("srvoptions", Texts, Null),
        ],
    },
    Table {
        name: "pg_foreign_table",
        columns: &[
            ("ftrelid", Oid, Null), ("ftserver", Oid, Null), ("ftoptions", Texts, Null),
        ],
    },
    Table {
        name: "pg_user_mapping",
        columns: &[
            ("oid", Oid, Null), ("umuser", Oid, Null), ("umserver", Oid, Null), ("umoptions", Texts, Null),
        ],
    },
    Table {
        name: "pg_default_acl",
        columns: &[
            ("oid", Oid, Null), ("defaclrole", Oid, Null), ("defaclnamespace", Oid, Null),
            ("defaclobjtype", Char, Null), ("defaclacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_db_role_setting",
        columns: &[
            ("setdatabase", Oid, Null), ("setrole", Oid, Null), ("setconfig", Texts, Null),
        ],
    },
    Table {
        name: "pg_partitioned_table",
        columns: &[
            ("partrelid", Oid, Null), ("partstrat", Char, Null), ("partnatts", Int2, Null), ("partdefid", Oid, Null),
            ("partattrs", Texts, Null),
        ],
    },
    Table {
        name: "pg_event_trigger",
        columns: &[
            ("oid", Oid, Null), ("evtname", Name, Null), ("evtevent", Name, Null), ("evtowner", Oid, Null),
            ("evtfoid", Oid, Null), ("evtenabled", Char, Null), ("evttags", Texts, Null),
        ],
    },
    Table {
        name: "pg_seclabel",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("objsubid", Int4, Null), ("provider", Text, Null),
            ("label", Text, Null),
        ],
    },
    Table {
        name: "pg_prepared_xacts",
        columns: &[
            ("transaction", Oid, Null), ("gid", Text, Null), ("prepared", Time, Null), ("owner", Name, Null),
            ("database", Name, Null),
        ],
    },
    Table {
        name: "pg_locks",
        columns: &[
            ("locktype", Text, Null), ("database", Oid, Null), ("relation", Oid, Null), ("pid", Int4, Null),
            ("mode", Text, Null), ("granted", Bool, Null),
        ],
    },
    Table {
        name: "pg_stat_ssl",
        columns: &[
            ("pid", Int4, Null), ("ssl", Bool, Null), ("version", Text, Null), ("cipher", Text, Null),
            ("bits", Int4, Null),
        ],
    },
    Table {
        name: "pg_stat_gssapi",
        columns: &[
            ("pid", Int4, Null), ("gss_authenticated", Bool, Null), ("principal", Text, Null),
            ("encrypted", Bool, Null),
        ],
    },
    Table {
        name: "pg_authid",
        columns: &[
            ("oid", Oid, Null), ("rolname", Name, Null), ("rolsuper", Bool, No), ("rolinherit", Bool, Yes),
            ("rolcreaterole", Bool, No), ("rolcreatedb", Bool, No), ("rolcanlogin", Bool, Yes),
            ("rolreplication", Bool, No), ("rolbypassrls", Bool, No), ("rolconnlimit", Int4, Int(-1)),
            ("rolpassword", Text, Null), ("rolvaliduntil", Time, Null),
        ],
    },
    Table {
        name: "pg_replication_slots",
        columns: &[
            ("slot_name", Name, Null), ("plugin", Name, Null), ("slot_type", Text, Null), ("datoid", Oid, Null),
            ("database", Name, Null), ("temporary", Bool, Null), ("active", Bool, Null), ("active_pid", Int4, Null),
        ],
    },
    Table {
        name: "pg_seclabels",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("objsubid", Int4, Null), ("objtype", Text, Null),
            ("objnamespace", Oid, Null), ("objname", Text, Null), ("provider", Text, Null), ("label", Text, Null),
        ],
    },
    Table {
        name: "pg_stat_all_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("n_live_tup", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_user_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("n_live_tup", Int8, Null),
        ],
    },
];
