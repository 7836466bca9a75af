use super::*;

#[test]
fn no_round_of_changes_reads_the_whole_table() {
    let dir = tempfile::tempdir().unwrap();
    let (mirror, _) = Mirror::open(&dir.path().join("mirror.db"), 0).unwrap();
    for sql in [
        STAGE_INSTANCES,
        STAGE_MISSING_INSTANCES,
        END,
        COUNT,
        NEAREST,
        LIST,
        HELD_KEYS,
        COUNT_HELD,
        HAS_INSTANCES,
    ] {
        let mut statement = mirror.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let count = statement.parameter_count();
        let nulls = vec![rusqlite::types::Null; count];
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter(nulls), |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let scans = plan.iter().any(|step| step.starts_with("SCAN e") || step.starts_with("SCAN i"));
        assert!(!scans, "{sql}\n{plan:?}");
    }
}
