//! The one database with who may use it, and what could be added to it.

use super::super::table::Default::{Int, No, Null, Text as Usually, Yes};
use super::super::table::Kind::{Bool, Char, Int4, Name, Oid, Text, Texts, Time};
use super::super::table::Table;

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
pub(super) static TABLES: &[Table] = &[
    Table {
        name: "pg_get_keywords",
        columns: &[
            ("word", Text, Null), ("catcode", Char, Usually("U")), ("barelabel", Bool, Yes),
            ("catdesc", Text, Usually("unreserved")), ("baredesc", Text, Usually("can be bare label")),
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
        name: "pg_settings",
        columns: &[
            ("name", Text, Null), ("setting", Text, Null), ("unit", Text, Null),
            ("category", Text, Usually("Session")), ("short_desc", Text, Null), ("extra_desc", Text, Null),
            ("context", Text, Usually("user")), ("vartype", Text, Usually("string")),
            ("source", Text, Usually("default")), ("min_val", Text, Null), ("max_val", Text, Null),
            ("enumvals", Texts, Null), ("boot_val", Text, Null), ("reset_val", Text, Null), ("sourcefile", Text, Null),
            ("sourceline", Int4, Null), ("pending_restart", Bool, No),
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
            ("subbinary", Bool, Null), ("substream", Bool, Null), ("subtwophasestate", Char, Null),
            ("subdisableonerr", Bool, Null), ("subconninfo", Text, Null), ("subslotname", Name, Null),
            ("subsynccommit", Text, Null), ("subpublications", Texts, Null), ("subdbid", Oid, Null),
            ("subskiplsn", Text, Null),
        ],
    },
    Table {
        name: "pg_extension",
        columns: &[
            ("oid", Oid, Null), ("extname", Name, Null), ("extowner", Oid, Null), ("extnamespace", Oid, Null),
            ("extrelocatable", Bool, Null), ("extversion", Text, Null), ("extconfig", Texts, Null),
            ("extcondition", Texts, Null),
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
        name: "pg_authid",
        columns: &[
            ("oid", Oid, Null), ("rolname", Name, Null), ("rolsuper", Bool, No), ("rolinherit", Bool, Yes),
            ("rolcreaterole", Bool, No), ("rolcreatedb", Bool, No), ("rolcanlogin", Bool, Yes),
            ("rolreplication", Bool, No), ("rolbypassrls", Bool, No), ("rolconnlimit", Int4, Int(-1)),
            ("rolpassword", Text, Null), ("rolvaliduntil", Time, Null),
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
        name: "pg_shseclabel",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("provider", Text, Null), ("label", Text, Null),
        ],
    },
    Table {
        name: "pg_shdepend",
        columns: &[
            ("dbid", Oid, Null), ("classid", Oid, Null), ("objid", Oid, Null), ("objsubid", Int4, Null),
            ("refclassid", Oid, Null), ("refobjid", Oid, Null), ("deptype", Char, Null),
        ],
    },
    Table {
        name: "pg_subscription_rel",
        columns: &[
            ("srsubid", Oid, Null), ("srrelid", Oid, Null), ("srsubstate", Char, Null), ("srsublsn", Text, Null),
        ],
    },
    Table {
        name: "pg_largeobject_metadata",
        columns: &[
            ("oid", Oid, Null), ("lomowner", Oid, Null), ("lomacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_publication_tables",
        columns: &[
            ("pubname", Name, Null), ("schemaname", Name, Null), ("tablename", Name, Null), ("attnames", Texts, Null),
            ("rowfilter", Text, Null),
        ],
    },
    Table {
        name: "pg_init_privs",
        columns: &[
            ("objoid", Oid, Null), ("classoid", Oid, Null), ("objsubid", Int4, Null), ("privtype", Char, Null),
            ("initprivs", Texts, Null),
        ],
    },
    Table {
        name: "pg_user_mappings",
        columns: &[
            ("umid", Oid, Null), ("srvid", Oid, Null), ("srvname", Name, Null), ("umuser", Oid, Null),
            ("usename", Name, Null), ("umoptions", Texts, Null),
        ],
    },
];
