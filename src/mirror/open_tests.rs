use super::*;

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_new_mirror_is_made_and_continues() {
    let dir = dir();
    let path = dir.path().join("anna/mirror.db");
    let (mirror, opening) = Mirror::open(&path, 0).unwrap();
    assert_eq!(opening, Opening::Created);
    mirror.close().unwrap();
    let (_, opening) = Mirror::open(&path, 0).unwrap();
    assert_eq!(opening, Opening::Continued);
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_a_mirror() {
    use std::os::unix::fs::PermissionsExt;
    let dir = dir();
    let path = dir.path().join("anna/mirror.db");
    let (mut mirror, _) = Mirror::open(&path, 0).unwrap();
    mirror.note_attempt(1).unwrap();
    for side in ["mirror.db", "mirror.db-wal", "mirror.db-shm"] {
        let mode = fs::metadata(dir.path().join("anna").join(side)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{side}");
    }
}

/// Whoever closes a mirror last removes its log, also a foreign program that reads the views: a lost lock makes it
/// believe that it is the last.
#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_goes_costs_its_process_no_lock() {
    use std::os::unix::fs::MetadataExt;
    let dir = dir();
    let path = dir.path().join("mirror.db");
    let (mirror, _) = Mirror::open(&path, 0).unwrap();
    let inode = format!(":{}", fs::metadata(&path).unwrap().ino());
    let locks = || {
        let all = fs::read_to_string("/proc/locks").unwrap();
        let of_file = |line: &&str| line.split_whitespace().any(|word| word.ends_with(&inode));
        all.lines().filter(of_file).count()
    };
    assert!(locks() > 0);
    drop(crate::mirror::Reader::open(&path).unwrap());
    assert!(locks() > 0, "the file is in use");
    mirror.close().unwrap();
}

#[test]
fn a_newer_file_is_refused_and_left_untouched() {
    let dir = dir();
    let path = dir.path().join("mirror.db");
    let (mirror, _) = Mirror::open(&path, 0).unwrap();
    mirror
        .conn
        .execute("INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES (99, 'x', '', '0')", [])
        .unwrap();
    mirror.close().unwrap();
    assert!(matches!(Mirror::open(&path, 0), Err(MirrorError::Newer { found: 99, .. })));
    assert!(path.exists());
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_rebuilt() {
    let dir = dir();
    let path = dir.path().join("mirror.db");
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    let (mirror, opening) = Mirror::open(&path, 5_000).unwrap();
    let Opening::Rebuilt { set_aside } = opening else { panic!("{opening:?}") };
    assert!(set_aside.to_string_lossy().ends_with("mirror.db.damaged-5"));
    assert_eq!(fs::read(&set_aside).unwrap().len(), 8192);
    assert_eq!(mirror.account().unwrap().fault, Some(("mirror_rebuilt".to_owned(), 5_000)));
}

#[test]
fn damaged_pages_are_found_when_the_last_writer_was_killed() {
    let dir = dir();
    let path = dir.path().join("mirror.db");
    let (mirror, _) = Mirror::open(&path, 0).unwrap();
    for n in 0..2_000 {
        mirror
            .conn
            .execute("INSERT INTO change (event_key, what, at_ms) VALUES (randomblob(16), 'put', ?1)", [n])
            .unwrap();
    }
    mirror.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    // Dropped without `close`, as a killed process leaves it.
    drop(mirror);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    for byte in bytes.iter_mut().take(end - 4096).skip(end / 2) {
        *byte = 0xa5;
    }
    fs::write(&path, bytes).unwrap();
    let (_, opening) = Mirror::open(&path, 7_000).unwrap();
    assert!(matches!(opening, Opening::Rebuilt { .. }), "{opening:?}");
}

#[test]
fn this_program_knows_its_newest_migration() {
    let newest = embedded::migrations::runner().get_migrations().iter().map(|m| m.version()).max();
    assert_eq!(newest, Some(schema::KNOWN));
}
