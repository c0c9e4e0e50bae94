//! Which process listens on a port, as far as /proc tells.
//!
//! `/proc/net/tcp` and `tcp6` give the socket's inode and owner, a search of `/proc/*/fd` the process. Without
//! privileges other users' processes stay unknown; then the owner is named. Only for error messages.

use std::fs;
use std::path::Path;

/// `LISTEN` in the column `st`.
const LISTEN: &str = "0A";

/// Who listens on `port`, in words.
pub(super) fn of(proc_root: &Path, port: u16) -> Option<String> {
    let (inode, uid) = ["net/tcp", "net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(proc_root.join(table)).ok()?;
        table.lines().skip(1).find_map(|line| listener(line, port))
    })?;
    Some(process(proc_root, &inode).unwrap_or_else(|| format!("a process of user {uid}")))
}

/// Inode and owner of a line's socket, if it listens on `port`.
fn listener(line: &str, port: u16) -> Option<(String, String)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let matches = *fields.get(3)? == LISTEN && u16::from_str_radix(local_port, 16).ok()? == port;
    matches.then(|| Some(((*fields.get(9)?).to_owned(), (*fields.get(7)?).to_owned())))?
}

fn process(proc_root: &Path, inode: &str) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir(proc_root).ok()?.flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(mut fds) = fs::read_dir(entry.path().join("fd")) else { continue };
        let holds =
            |fd: fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|link| link.as_os_str() == &*wanted);
        if fds.any(|fd| fd.is_ok_and(holds)) {
            if pid == std::process::id() {
                return Some(format!("this very process (pid {pid})"));
            }
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim_end()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 01 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0
   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 100 0 0 10 0
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:2382 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 0
";

    #[test]
    fn the_process_or_at_least_the_user() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for dir in ["net", "77/fd", "self"] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        fs::write(at("net/tcp"), TCP).unwrap();
        fs::write(at("net/tcp6"), TCP6).unwrap();
        fs::write(at("77/comm"), "nginx\n").unwrap();
        symlink("/dev/null", at("77/fd/0")).unwrap();
        symlink("socket:[12]", at("77/fd/5")).unwrap();
        assert_eq!(of(root.path(), 8080).as_deref(), Some("nginx (pid 77)"));
        assert_eq!(of(root.path(), 9090).as_deref(), Some("a process of user 0"));
        assert_eq!(of(root.path(), 80), None);
    }
}
