//! What happens, and how often it has.

use super::super::objects::DATABASE;
use super::super::table::Default::{Int, Null, Text as Usually};
use super::super::table::Kind::{Bool, Float4, Float8, Int2, Int4, Int8, Name, Oid, Text, Texts, Time};
use super::super::table::Table;

// Formatted, each column would have a line of its own.
#[rustfmt::skip]
pub(super) static TABLES: &[Table] = &[
    Table {
        name: "pg_stat_activity",
        columns: &[
            ("datid", Oid, Int(DATABASE)), ("datname", Name, Usually("ascribe")), ("pid", Int4, Null),
            ("leader_pid", Int4, Null), ("usesysid", Oid, Null), ("usename", Name, Null),
            ("application_name", Text, Null), ("client_addr", Text, Null), ("client_hostname", Text, Null),
            ("client_port", Int4, Null), ("backend_start", Time, Null), ("xact_start", Time, Null),
            ("query_start", Time, Null), ("state_change", Time, Null), ("wait_event_type", Text, Null),
            ("wait_event", Text, Null), ("state", Text, Null), ("backend_xid", Oid, Null), ("backend_xmin", Oid, Null),
            ("query_id", Int8, Null), ("query", Text, Null), ("backend_type", Text, Usually("client backend")),
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
            ("locktype", Text, Null), ("database", Oid, Null), ("relation", Oid, Null), ("page", Int4, Null),
            ("tuple", Int2, Null), ("virtualxid", Text, Null), ("transactionid", Oid, Null), ("classid", Oid, Null),
            ("objid", Oid, Null), ("objsubid", Int2, Null), ("virtualtransaction", Text, Null), ("pid", Int4, Null),
            ("mode", Text, Null), ("granted", Bool, Null), ("fastpath", Bool, Null), ("waitstart", Time, Null),
        ],
    },
    Table {
        name: "pg_stat_ssl",
        columns: &[
            ("pid", Int4, Null), ("ssl", Bool, Null), ("version", Text, Null), ("cipher", Text, Null),
            ("bits", Int4, Null), ("client_dn", Text, Null), ("client_serial", Text, Null), ("issuer_dn", Text, Null),
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
        name: "pg_replication_slots",
        columns: &[
            ("slot_name", Name, Null), ("plugin", Name, Null), ("slot_type", Text, Null), ("datoid", Oid, Null),
            ("database", Name, Null), ("temporary", Bool, Null), ("active", Bool, Null), ("active_pid", Int4, Null),
            ("xmin", Oid, Null), ("catalog_xmin", Oid, Null), ("restart_lsn", Text, Null),
            ("confirmed_flush_lsn", Text, Null), ("wal_status", Text, Null), ("safe_wal_size", Int8, Null),
            ("two_phase", Bool, Null),
        ],
    },
    Table {
        name: "pg_stat_all_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("seq_scan", Int8, Null),
            ("seq_tup_read", Int8, Null), ("idx_scan", Int8, Null), ("idx_tup_fetch", Int8, Null),
            ("n_tup_ins", Int8, Null), ("n_tup_upd", Int8, Null), ("n_tup_del", Int8, Null),
            ("n_tup_hot_upd", Int8, Null), ("n_live_tup", Int8, Null), ("n_dead_tup", Int8, Null),
            ("n_mod_since_analyze", Int8, Null), ("n_ins_since_vacuum", Int8, Null), ("last_vacuum", Time, Null),
            ("last_autovacuum", Time, Null), ("last_analyze", Time, Null), ("last_autoanalyze", Time, Null),
            ("vacuum_count", Int8, Null), ("autovacuum_count", Int8, Null), ("analyze_count", Int8, Null),
            ("autoanalyze_count", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_user_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("seq_scan", Int8, Null),
            ("seq_tup_read", Int8, Null), ("idx_scan", Int8, Null), ("idx_tup_fetch", Int8, Null),
            ("n_tup_ins", Int8, Null), ("n_tup_upd", Int8, Null), ("n_tup_del", Int8, Null),
            ("n_tup_hot_upd", Int8, Null), ("n_live_tup", Int8, Null), ("n_dead_tup", Int8, Null),
            ("n_mod_since_analyze", Int8, Null), ("n_ins_since_vacuum", Int8, Null), ("last_vacuum", Time, Null),
            ("last_autovacuum", Time, Null), ("last_analyze", Time, Null), ("last_autoanalyze", Time, Null),
            ("vacuum_count", Int8, Null), ("autovacuum_count", Int8, Null), ("analyze_count", Int8, Null),
            ("autoanalyze_count", Int8, Null),
        ],
    },
    Table {
        name: "pg_cursors",
        columns: &[
            ("name", Text, Null), ("statement", Text, Null), ("is_holdable", Bool, Null), ("is_binary", Bool, Null),
            ("is_scrollable", Bool, Null), ("creation_time", Time, Null),
        ],
    },
    Table {
        name: "pg_prepared_statements",
        columns: &[
            ("name", Text, Null), ("statement", Text, Null), ("prepare_time", Time, Null),
            ("parameter_types", Texts, Null), ("from_sql", Bool, Null), ("generic_plans", Int8, Null),
            ("custom_plans", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_database",
        columns: &[
            ("datid", Oid, Null), ("datname", Name, Null), ("numbackends", Int4, Int(0)),
            ("xact_commit", Int8, Int(0)), ("xact_rollback", Int8, Int(0)), ("blks_read", Int8, Int(0)),
            ("blks_hit", Int8, Int(0)), ("tup_returned", Int8, Int(0)), ("tup_fetched", Int8, Int(0)),
            ("tup_inserted", Int8, Int(0)), ("tup_updated", Int8, Int(0)), ("tup_deleted", Int8, Int(0)),
            ("conflicts", Int8, Int(0)), ("temp_files", Int8, Int(0)), ("temp_bytes", Int8, Int(0)),
            ("deadlocks", Int8, Int(0)), ("checksum_failures", Int8, Null), ("checksum_last_failure", Time, Null),
            ("blk_read_time", Float8, Int(0)), ("blk_write_time", Float8, Int(0)), ("session_time", Float8, Int(0)),
            ("active_time", Float8, Int(0)), ("idle_in_transaction_time", Float8, Int(0)), ("sessions", Int8, Int(0)),
            ("sessions_abandoned", Int8, Int(0)), ("sessions_fatal", Int8, Int(0)), ("sessions_killed", Int8, Int(0)),
            ("stats_reset", Time, Null),
        ],
    },
    Table {
        name: "pg_statio_all_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("heap_blks_read", Int8, Null),
            ("heap_blks_hit", Int8, Null), ("idx_blks_read", Int8, Null), ("idx_blks_hit", Int8, Null),
            ("toast_blks_read", Int8, Null), ("toast_blks_hit", Int8, Null), ("tidx_blks_read", Int8, Null),
            ("tidx_blks_hit", Int8, Null),
        ],
    },
    Table {
        name: "pg_statio_user_tables",
        columns: &[
            ("relid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null), ("heap_blks_read", Int8, Null),
            ("heap_blks_hit", Int8, Null), ("idx_blks_read", Int8, Null), ("idx_blks_hit", Int8, Null),
            ("toast_blks_read", Int8, Null), ("toast_blks_hit", Int8, Null), ("tidx_blks_read", Int8, Null),
            ("tidx_blks_hit", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_all_indexes",
        columns: &[
            ("relid", Oid, Null), ("indexrelid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null),
            ("indexrelname", Name, Null), ("idx_scan", Int8, Null), ("idx_tup_read", Int8, Null),
            ("idx_tup_fetch", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_user_indexes",
        columns: &[
            ("relid", Oid, Null), ("indexrelid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null),
            ("indexrelname", Name, Null), ("idx_scan", Int8, Null), ("idx_tup_read", Int8, Null),
            ("idx_tup_fetch", Int8, Null),
        ],
    },
    Table {
        name: "pg_statio_all_indexes",
        columns: &[
            ("relid", Oid, Null), ("indexrelid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null),
            ("indexrelname", Name, Null), ("idx_blks_read", Int8, Null), ("idx_blks_hit", Int8, Null),
        ],
    },
    Table {
        name: "pg_statio_user_indexes",
        columns: &[
            ("relid", Oid, Null), ("indexrelid", Oid, Null), ("schemaname", Name, Null), ("relname", Name, Null),
            ("indexrelname", Name, Null), ("idx_blks_read", Int8, Null), ("idx_blks_hit", Int8, Null),
        ],
    },
    Table {
        name: "pg_stat_replication",
        columns: &[
            ("pid", Int4, Null), ("usesysid", Oid, Null), ("usename", Name, Null), ("application_name", Text, Null),
            ("client_addr", Text, Null), ("client_hostname", Text, Null), ("client_port", Int4, Null),
            ("backend_start", Time, Null), ("backend_xmin", Oid, Null), ("state", Text, Null),
            ("sent_lsn", Text, Null), ("write_lsn", Text, Null), ("flush_lsn", Text, Null), ("replay_lsn", Text, Null),
            ("write_lag", Text, Null), ("flush_lag", Text, Null), ("replay_lag", Text, Null),
            ("sync_priority", Int4, Null), ("sync_state", Text, Null), ("reply_time", Time, Null),
        ],
    },
    Table {
        name: "pg_stats",
        columns: &[
            ("schemaname", Name, Null), ("tablename", Name, Null), ("attname", Name, Null), ("inherited", Bool, Null),
            ("null_frac", Float4, Null), ("avg_width", Int4, Null), ("n_distinct", Float4, Null),
            ("most_common_vals", Texts, Null), ("most_common_freqs", Texts, Null), ("histogram_bounds", Texts, Null),
            ("correlation", Float4, Null), ("most_common_elems", Texts, Null), ("most_common_elem_freqs", Texts, Null),
            ("elem_count_histogram", Texts, Null),
        ],
    },
    Table {
        name: "pg_stat_user_functions",
        columns: &[
            ("funcid", Oid, Null), ("schemaname", Name, Null), ("funcname", Name, Null), ("calls", Int8, Null),
            ("total_time", Float8, Null), ("self_time", Float8, Null),
        ],
    },
];
