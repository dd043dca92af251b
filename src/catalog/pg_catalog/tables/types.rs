//! Types, functions and what belongs to them.

use super::super::table::Default::{Int, No, Null, Text as Usually, Yes};
use super::super::table::Kind::{Bool, Char, Float4, Int2, Int4, Name, Oid, Regproc, Text, Texts};
use super::super::table::Table;

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
pub(super) static TABLES: &[Table] = &[
    Table {
        name: "pg_type",
        columns: &[
            ("oid", Oid, Null), ("typname", Name, Null), ("typnamespace", Oid, Int(11)), ("typowner", Oid, Int(10)),
            ("typlen", Int2, Null), ("typbyval", Bool, No), ("typtype", Char, Usually("b")),
            ("typcategory", Char, Null), ("typispreferred", Bool, No), ("typisdefined", Bool, Yes),
            ("typdelim", Char, Usually(",")), ("typrelid", Oid, Int(0)), ("typsubscript", Regproc, Int(0)),
            ("typelem", Oid, Int(0)), ("typarray", Oid, Int(0)), ("typinput", Regproc, Int(0)),
            ("typoutput", Regproc, Int(0)), ("typreceive", Regproc, Int(0)), ("typsend", Regproc, Int(0)),
            ("typmodin", Regproc, Int(0)), ("typmodout", Regproc, Int(0)), ("typanalyze", Regproc, Int(0)),
            ("typalign", Char, Usually("i")), ("typstorage", Char, Usually("p")), ("typnotnull", Bool, No),
            ("typbasetype", Oid, Int(0)), ("typtypmod", Int4, Int(-1)), ("typndims", Int4, Int(0)),
            ("typcollation", Oid, Int(0)), ("typdefaultbin", Text, Null), ("typdefault", Text, Null),
            ("typacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_proc",
        columns: &[
            ("oid", Oid, Null), ("proname", Name, Null), ("pronamespace", Oid, Null), ("proowner", Oid, Int(10)),
            ("prolang", Oid, Int(12)), ("procost", Float4, Int(1)), ("prorows", Float4, Int(0)),
            ("provariadic", Oid, Int(0)), ("prosupport", Regproc, Int(0)), ("prokind", Char, Null),
            ("prosecdef", Bool, No), ("proleakproof", Bool, No), ("proisstrict", Bool, No), ("proretset", Bool, No),
            ("provolatile", Char, Usually("s")), ("proparallel", Char, Usually("s")), ("pronargs", Int2, Int(0)),
            ("pronargdefaults", Int2, Int(0)), ("prorettype", Oid, Null), ("proargtypes", Text, Usually("")),
            ("proallargtypes", Texts, Null), ("proargmodes", Texts, Null), ("proargnames", Texts, Null),
            ("proargdefaults", Text, Null), ("protrftypes", Texts, Null), ("prosrc", Text, Usually("")),
            ("probin", Text, Null), ("prosqlbody", Text, Null), ("proconfig", Texts, Null), ("proacl", Texts, Null),
        ],
    },
    Table {
        name: "pg_am",
        columns: &[
            ("oid", Oid, Null), ("amname", Name, Null), ("amhandler", Regproc, Int(0)), ("amtype", Char, Usually("t")),
        ],
    },
    Table {
        name: "pg_collation",
        columns: &[
            ("oid", Oid, Null), ("collname", Name, Null), ("collnamespace", Oid, Int(11)), ("collowner", Oid, Int(10)),
            ("collprovider", Char, Null), ("collisdeterministic", Bool, Yes), ("collencoding", Int4, Int(-1)),
            ("collcollate", Text, Null), ("collctype", Text, Null), ("colliculocale", Text, Null),
            ("collicurules", Text, Null), ("collversion", Text, Null),
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
        name: "pg_enum",
        columns: &[
            ("oid", Oid, Null), ("enumtypid", Oid, Null), ("enumsortorder", Float4, Null), ("enumlabel", Name, Null),
        ],
    },
    Table {
        name: "pg_range",
        columns: &[
            ("rngtypid", Oid, Null), ("rngsubtype", Oid, Null), ("rngmultitypid", Oid, Null),
            ("rngcollation", Oid, Null), ("rngsubopc", Oid, Null), ("rngcanonical", Regproc, Null),
            ("rngsubdiff", Regproc, Null),
        ],
    },
    Table {
        name: "pg_operator",
        columns: &[
            ("oid", Oid, Null), ("oprname", Name, Null), ("oprnamespace", Oid, Null), ("oprowner", Oid, Null),
            ("oprkind", Char, Null), ("oprcanmerge", Bool, Null), ("oprcanhash", Bool, Null), ("oprleft", Oid, Null),
            ("oprright", Oid, Null), ("oprresult", Oid, Null), ("oprcom", Oid, Null), ("oprnegate", Oid, Null),
            ("oprcode", Regproc, Null), ("oprrest", Regproc, Null), ("oprjoin", Regproc, Null),
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
            ("conforencoding", Int4, Null), ("contoencoding", Int4, Null), ("conproc", Regproc, Null),
            ("condefault", Bool, Null),
        ],
    },
    Table {
        name: "pg_aggregate",
        columns: &[
            ("aggfnoid", Regproc, Null), ("aggkind", Char, Null), ("aggnumdirectargs", Int2, Null),
            ("aggtransfn", Regproc, Null), ("aggfinalfn", Regproc, Null), ("aggcombinefn", Regproc, Null),
            ("aggserialfn", Regproc, Null), ("aggdeserialfn", Regproc, Null), ("aggmtransfn", Regproc, Null),
            ("aggminvtransfn", Regproc, Null), ("aggmfinalfn", Regproc, Null), ("aggfinalextra", Bool, Null),
            ("aggmfinalextra", Bool, Null), ("aggfinalmodify", Char, Null), ("aggmfinalmodify", Char, Null),
            ("aggsortop", Oid, Null), ("aggtranstype", Oid, Null), ("aggtransspace", Int4, Null),
            ("aggmtranstype", Oid, Null), ("aggmtransspace", Int4, Null), ("agginitval", Text, Null),
            ("aggminitval", Text, Null),
        ],
    },
    Table {
        name: "pg_opfamily",
        columns: &[
            ("oid", Oid, Null), ("opfmethod", Oid, Null), ("opfname", Name, Null), ("opfnamespace", Oid, Null),
            ("opfowner", Oid, Null),
        ],
    },
    Table {
        name: "pg_amop",
        columns: &[
            ("oid", Oid, Null), ("amopfamily", Oid, Null), ("amoplefttype", Oid, Null), ("amoprighttype", Oid, Null),
            ("amopstrategy", Int2, Null), ("amoppurpose", Char, Null), ("amopopr", Oid, Null),
            ("amopmethod", Oid, Null), ("amopsortfamily", Oid, Null),
        ],
    },
    Table {
        name: "pg_amproc",
        columns: &[
            ("oid", Oid, Null), ("amprocfamily", Oid, Null), ("amproclefttype", Oid, Null),
            ("amprocrighttype", Oid, Null), ("amprocnum", Int2, Null), ("amproc", Regproc, Null),
        ],
    },
    Table {
        name: "pg_transform",
        columns: &[
            ("oid", Oid, Null), ("trftype", Oid, Null), ("trflang", Oid, Null), ("trffromsql", Regproc, Null),
            ("trftosql", Regproc, Null),
        ],
    },
    Table {
        name: "pg_ts_config",
        columns: &[
            ("oid", Oid, Null), ("cfgname", Name, Null), ("cfgnamespace", Oid, Null), ("cfgowner", Oid, Null),
            ("cfgparser", Oid, Null),
        ],
    },
    Table {
        name: "pg_ts_dict",
        columns: &[
            ("oid", Oid, Null), ("dictname", Name, Null), ("dictnamespace", Oid, Null), ("dictowner", Oid, Null),
            ("dicttemplate", Oid, Null), ("dictinitoption", Text, Null),
        ],
    },
    Table {
        name: "pg_ts_parser",
        columns: &[
            ("oid", Oid, Null), ("prsname", Name, Null), ("prsnamespace", Oid, Null), ("prsstart", Regproc, Null),
            ("prstoken", Regproc, Null), ("prsend", Regproc, Null), ("prsheadline", Regproc, Null),
            ("prslextype", Regproc, Null),
        ],
    },
    Table {
        name: "pg_ts_template",
        columns: &[
            ("oid", Oid, Null), ("tmplname", Name, Null), ("tmplnamespace", Oid, Null), ("tmplinit", Regproc, Null),
            ("tmpllexize", Regproc, Null),
        ],
    },
];
