//! The functions of PostgreSQL's own that its catalog names in columns of type `regproc`: above all those by which values of
//! its types are read and printed.

/// A function (`pg_proc.dat` of PostgreSQL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Procedure {
    /// `pg_proc.oid`.
    pub oid: u32,
    /// What it is called.
    pub name: &'static str,
    /// OIDs of the types of its arguments.
    pub arguments: &'static [u32],
    /// OID of the type of what it returns.
    pub result: u32,
}

impl Procedure {
    /// The function of an OID.
    #[must_use]
    pub fn of(oid: i64) -> Option<&'static Self> {
        let at = PROCEDURES.binary_search_by_key(&oid, |known| i64::from(known.oid)).ok()?;
        PROCEDURES.get(at)
    }

    /// The function of a name; each has its own.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        PROCEDURES.iter().find(|known| known.name == name)
    }
}

const fn procedure(oid: u32, name: &'static str, arguments: &'static [u32], result: u32) -> Procedure {
    Procedure { oid, name, arguments, result }
}

/// Every such function, in the order of the OIDs.
pub static PROCEDURES: &[Procedure] = &[
    procedure(31, "byteaout", &[17], 2275),
    procedure(33, "charout", &[18], 2275),
    procedure(34, "namein", &[2275], 19),
    procedure(35, "nameout", &[19], 2275),
    procedure(38, "int2in", &[2275], 21),
    procedure(39, "int2out", &[21], 2275),
    procedure(40, "int2vectorin", &[2275], 22),
    procedure(41, "int2vectorout", &[22], 2275),
    procedure(42, "int4in", &[2275], 23),
    procedure(43, "int4out", &[23], 2275),
    procedure(44, "regprocin", &[2275], 24),
    procedure(45, "regprocout", &[24], 2275),
    procedure(46, "textin", &[2275], 25),
    procedure(47, "textout", &[25], 2275),
    procedure(54, "oidvectorin", &[2275], 30),
    procedure(55, "oidvectorout", &[30], 2275),
    procedure(109, "unknownin", &[2275], 705),
    procedure(110, "unknownout", &[705], 2275),
    procedure(200, "float4in", &[2275], 700),
    procedure(201, "float4out", &[700], 2275),
    procedure(214, "float8in", &[2275], 701),
    procedure(215, "float8out", &[701], 2275),
    procedure(321, "json_in", &[2275], 114),
    procedure(322, "json_out", &[114], 2275),
    procedure(323, "json_recv", &[2281], 114),
    procedure(324, "json_send", &[114], 17),
    procedure(460, "int8in", &[2275], 20),
    procedure(461, "int8out", &[20], 2275),
    procedure(750, "array_in", &[2275, 26, 23], 2277),
    procedure(751, "array_out", &[2277], 2275),
    procedure(1044, "bpcharin", &[2275, 26, 23], 1042),
    procedure(1045, "bpcharout", &[1042], 2275),
    procedure(1046, "varcharin", &[2275, 26, 23], 1043),
    procedure(1047, "varcharout", &[1043], 2275),
    procedure(1084, "date_in", &[2275], 1082),
    procedure(1085, "date_out", &[1082], 2275),
    procedure(1143, "time_in", &[2275, 26, 23], 1083),
    procedure(1144, "time_out", &[1083], 2275),
    procedure(1150, "timestamptz_in", &[2275, 26, 23], 1184),
    procedure(1151, "timestamptz_out", &[1184], 2275),
    procedure(1160, "interval_in", &[2275, 26, 23], 1186),
    procedure(1161, "interval_out", &[1186], 2275),
    procedure(1242, "boolin", &[2275], 16),
    procedure(1243, "boolout", &[16], 2275),
    procedure(1244, "byteain", &[2275], 17),
    procedure(1245, "charin", &[2275], 18),
    procedure(1299, "now", &[], 1184),
    procedure(1312, "timestamp_in", &[2275, 26, 23], 1114),
    procedure(1313, "timestamp_out", &[1114], 2275),
    procedure(1701, "numeric_in", &[2275, 26, 23], 1700),
    procedure(1702, "numeric_out", &[1700], 2275),
    procedure(1798, "oidin", &[2275], 26),
    procedure(1799, "oidout", &[26], 2275),
    procedure(2218, "regclassin", &[2275], 2205),
    procedure(2219, "regclassout", &[2205], 2275),
    procedure(2220, "regtypein", &[2275], 2206),
    procedure(2221, "regtypeout", &[2206], 2275),
    procedure(2290, "record_in", &[2275, 26, 23], 2249),
    procedure(2291, "record_out", &[2249], 2275),
    procedure(2292, "cstring_in", &[2275], 2275),
    procedure(2293, "cstring_out", &[2275], 2275),
    procedure(2294, "any_in", &[2275], 2276),
    procedure(2295, "any_out", &[2276], 2275),
    procedure(2296, "anyarray_in", &[2275], 2277),
    procedure(2297, "anyarray_out", &[2277], 2275),
    procedure(2298, "void_in", &[2275], 2278),
    procedure(2299, "void_out", &[2278], 2275),
    procedure(2304, "internal_in", &[2275], 2281),
    procedure(2305, "internal_out", &[2281], 2275),
    procedure(2312, "anyelement_in", &[2275], 2283),
    procedure(2313, "anyelement_out", &[2283], 2275),
    procedure(2400, "array_recv", &[2281, 26, 23], 2277),
    procedure(2401, "array_send", &[2277], 17),
    procedure(2402, "record_recv", &[2281, 26, 23], 2249),
    procedure(2403, "record_send", &[2249], 17),
    procedure(2404, "int2recv", &[2281], 21),
    procedure(2405, "int2send", &[21], 17),
    procedure(2406, "int4recv", &[2281], 23),
    procedure(2407, "int4send", &[23], 17),
    procedure(2408, "int8recv", &[2281], 20),
    procedure(2409, "int8send", &[20], 17),
    procedure(2410, "int2vectorrecv", &[2281], 22),
    procedure(2411, "int2vectorsend", &[22], 17),
    procedure(2412, "bytearecv", &[2281], 17),
    procedure(2413, "byteasend", &[17], 17),
    procedure(2414, "textrecv", &[2281], 25),
    procedure(2415, "textsend", &[25], 17),
    procedure(2416, "unknownrecv", &[2281], 705),
    procedure(2417, "unknownsend", &[705], 17),
    procedure(2418, "oidrecv", &[2281], 26),
    procedure(2419, "oidsend", &[26], 17),
    procedure(2420, "oidvectorrecv", &[2281], 30),
    procedure(2421, "oidvectorsend", &[30], 17),
    procedure(2422, "namerecv", &[2281], 19),
    procedure(2423, "namesend", &[19], 17),
    procedure(2424, "float4recv", &[2281], 700),
    procedure(2425, "float4send", &[700], 17),
    procedure(2426, "float8recv", &[2281], 701),
    procedure(2427, "float8send", &[701], 17),
    procedure(2430, "bpcharrecv", &[2281, 26, 23], 1042),
    procedure(2431, "bpcharsend", &[1042], 17),
    procedure(2432, "varcharrecv", &[2281, 26, 23], 1043),
    procedure(2433, "varcharsend", &[1043], 17),
    procedure(2434, "charrecv", &[2281], 18),
    procedure(2435, "charsend", &[18], 17),
    procedure(2436, "boolrecv", &[2281], 16),
    procedure(2437, "boolsend", &[16], 17),
    procedure(2444, "regprocrecv", &[2281], 24),
    procedure(2445, "regprocsend", &[24], 17),
    procedure(2452, "regclassrecv", &[2281], 2205),
    procedure(2453, "regclasssend", &[2205], 17),
    procedure(2454, "regtyperecv", &[2281], 2206),
    procedure(2455, "regtypesend", &[2206], 17),
    procedure(2460, "numeric_recv", &[2281, 26, 23], 1700),
    procedure(2461, "numeric_send", &[1700], 17),
    procedure(2468, "date_recv", &[2281], 1082),
    procedure(2469, "date_send", &[1082], 17),
    procedure(2470, "time_recv", &[2281, 26, 23], 1083),
    procedure(2471, "time_send", &[1083], 17),
    procedure(2474, "timestamp_recv", &[2281, 26, 23], 1114),
    procedure(2475, "timestamp_send", &[1114], 17),
    procedure(2476, "timestamptz_recv", &[2281, 26, 23], 1184),
    procedure(2477, "timestamptz_send", &[1184], 17),
    procedure(2478, "interval_recv", &[2281, 26, 23], 1186),
    procedure(2479, "interval_send", &[1186], 17),
    procedure(2500, "cstring_recv", &[2281], 2275),
    procedure(2501, "cstring_send", &[2275], 17),
    procedure(2502, "anyarray_recv", &[2281], 2277),
    procedure(2503, "anyarray_send", &[2277], 17),
    procedure(2903, "intervaltypmodin", &[1263], 23),
    procedure(2904, "intervaltypmodout", &[23], 2275),
    procedure(2905, "timestamptypmodin", &[1263], 23),
    procedure(2906, "timestamptypmodout", &[23], 2275),
    procedure(2907, "timestamptztypmodin", &[1263], 23),
    procedure(2908, "timestamptztypmodout", &[23], 2275),
    procedure(2909, "timetypmodin", &[1263], 23),
    procedure(2910, "timetypmodout", &[23], 2275),
    procedure(2913, "bpchartypmodin", &[1263], 23),
    procedure(2914, "bpchartypmodout", &[23], 2275),
    procedure(2915, "varchartypmodin", &[1263], 23),
    procedure(2916, "varchartypmodout", &[23], 2275),
    procedure(2917, "numerictypmodin", &[1263], 23),
    procedure(2918, "numerictypmodout", &[23], 2275),
    procedure(2952, "uuid_in", &[2275], 2950),
    procedure(2953, "uuid_out", &[2950], 2275),
    procedure(2961, "uuid_recv", &[2281], 2950),
    procedure(2962, "uuid_send", &[2950], 17),
    procedure(3120, "void_recv", &[2281], 2278),
    procedure(3121, "void_send", &[2278], 17),
    procedure(3803, "jsonb_send", &[3802], 17),
    procedure(3804, "jsonb_out", &[3802], 2275),
    procedure(3805, "jsonb_recv", &[2281], 3802),
    procedure(3806, "jsonb_in", &[2275], 3802),
    procedure(3816, "array_typanalyze", &[2281], 16),
    procedure(4084, "regnamespacein", &[2275], 4089),
    procedure(4085, "regnamespaceout", &[4089], 2275),
    procedure(4087, "regnamespacerecv", &[2281], 4089),
    procedure(4088, "regnamespacesend", &[4089], 17),
    procedure(4092, "regroleout", &[4096], 2275),
    procedure(4094, "regrolerecv", &[2281], 4096),
    procedure(4095, "regrolesend", &[4096], 17),
    procedure(4098, "regrolein", &[2275], 4096),
    procedure(6098, "jsonb_subscript_handler", &[2281], 2281),
    procedure(6179, "array_subscript_handler", &[2281], 2281),
    procedure(6180, "raw_array_subscript_handler", &[2281], 2281),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_by_number_and_by_name() {
        assert!(PROCEDURES.is_sorted_by(|one, next| one.oid < next.oid));
        for known in PROCEDURES {
            assert_eq!(Procedure::of(i64::from(known.oid)), Some(known));
            assert_eq!(Procedure::named(known.name), Some(known));
        }
        assert_eq!(Procedure::of(2400).map(|known| known.name), Some("array_recv"));
        assert_eq!(Procedure::of(0), None);
    }
}
