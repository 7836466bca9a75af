use std::path::{Path, PathBuf};

/// File systems that live on another machine: SQLite's locks and its shared memory do not hold there.
const REMOTE: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "gfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "ocfs2",
    "rclone",
    "s3fs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "sshfs",
    "vboxsf",
    "vmhgfs",
];

/// The kind of network share the directory lies on, when it lies on one that can be recognized.
pub fn network_share(dir: &Path) -> Option<String> {
    let dir = existing(dir)?;
    if dir.to_string_lossy().starts_with(r"\\") && !dir.to_string_lossy().starts_with(r"\\?\") {
        return Some("a Windows share".to_owned());
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    remote_kind(&mounts, &dir)
}

/// The nearest existing folder, without links.
fn existing(dir: &Path) -> Option<PathBuf> {
    dir.ancestors().find_map(|ancestor| {
        let ancestor = if ancestor.as_os_str().is_empty() { Path::new(".") } else { ancestor };
        ancestor.canonicalize().ok()
    })
}

/// Looks `dir` up in the text of `/proc/self/mounts`; later lines lie above earlier ones.
fn remote_kind(mounts: &str, dir: &Path) -> Option<String> {
    let mut nearest: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(point), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let point = unescape(point);
        if dir.starts_with(&point) && nearest.is_none_or(|(length, _)| point.len() >= length) {
            nearest = Some((point.len(), kind));
        }
    }
    let (_, kind) = nearest?;
    let plain = kind.strip_prefix("fuse.").unwrap_or(kind);
    REMOTE.contains(&plain).then(|| kind.to_owned())
}

/// Blanks, tabs and backslashes are written as three octal digits.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "/dev/sda1 / ext4 rw 0 0\n\
        server:/home /home nfs4 rw 0 0\n\
        /dev/sdb1 /home/local ext4 rw 0 0\n\
        //nas/x /mnt/my\\040share cifs rw 0 0\n\
        user@host: /mnt/ssh fuse.sshfs rw 0 0\n\
        short\n";

    #[test]
    fn a_share_is_recognized_by_the_nearest_mount() {
        for (dir, expected) in [
            ("/var/lib/calmirror", None),
            ("/home/anna/data", Some("nfs4")),
            ("/homes", None),
            ("/home/local/anna", None),
            ("/mnt/my share/x", Some("cifs")),
            ("/mnt/ssh", Some("fuse.sshfs")),
        ] {
            assert_eq!(remote_kind(MOUNTS, Path::new(dir)).as_deref(), expected, "{dir}");
        }
    }

    #[test]
    fn a_directory_that_does_not_exist_yet_is_judged_by_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(existing(&dir.path().join("a/b")), Some(dir.path().canonicalize().unwrap()));
    }
}
