//! What only the host can say about a configuration: may this user write there, is that port free, who else can
//! read the token.
//!
//! `check-config` and `doctor` ask it. The answers hold for the user who runs the command, and say so, since the
//! agent may run as another. Nothing is created or changed.

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::unistd::{AccessFlags, User, faccessat, geteuid};

use super::error::{Error, Errors, Place, Problem};
use super::{Resolved, Setting};

/// Shortest bearer token, in bytes.
pub const TOKEN_MIN_BYTES: u64 = 32;

/// Group may write.
const GROUP_WRITE: u32 = 0o020;
/// Others may write.
const OTHER_WRITE: u32 = 0o002;
/// Group or others may do anything.
const NOT_OWNER: u32 = 0o077;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The agent would start.
    Warning,
    /// The agent would not start, or not do its work.
    Error,
}

/// Something that the host does not allow, or that is unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The key that is about, as messages name it, with the place of its value.
    pub about: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Asks the host about everything that the configuration names.
pub fn host(resolved: &Resolved) -> Vec<Finding> {
    let mut check = Check { resolved, findings: Vec::new() };
    check.directories();
    check.http_files();
    check.ports();
    check.findings
}

/// The name of the user whose rights count, with the number.
pub fn user() -> String {
    let uid = geteuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => format!("{} (uid {uid})", user.name),
        _ => format!("uid {uid}"),
    }
}

/// Refuses a file that everybody can write to; warns of one that others than root and this user can change.
pub(super) fn file_permissions(
    path: &Path,
    meta: &Metadata,
    errors: &mut Errors,
    warnings: &mut Vec<String>,
) {
    // A pipe or a terminal has no say over who writes to it.
    if !meta.is_file() {
        return;
    }
    if meta.mode() & OTHER_WRITE != 0 {
        let place = Place::File { path: path.to_owned(), line: 0 };
        errors.push(Error::new(place, None, Problem::Open(path.to_owned())));
    }
    if meta.mode() & GROUP_WRITE != 0 {
        warnings.push(format!("{0}: its group can write to it; chmod g-w {0}", path.display()));
    }
    if meta.uid() != 0 && meta.uid() != geteuid().as_raw() {
        warnings.push(format!(
            "{}: belongs to uid {}, who can change what the agent does; chown root it",
            path.display(),
            meta.uid()
        ));
    }
}

struct Check<'a> {
    resolved: &'a Resolved,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn add(&mut self, severity: Severity, section: &str, name: &str, message: String) {
        let about = match self.resolved.settings.find(section, name) {
            Some(Setting { key, place: Place::Default, .. }) => key.to_string(),
            Some(Setting { key, place, .. }) => format!("{place}: {key}"),
            None => format!("[{section}] {name}"),
        };
        self.findings.push(Finding { severity, about, message });
    }

    fn directories(&mut self) {
        let control = &self.resolved.control;
        self.directory("core", "state_dir", &control.state_dir);
        self.directory("core", "runtime_dir", &control.runtime_dir);
        if let Some(file) = &self.resolved.sink.file {
            self.log_file(&file.path);
        }
        if !control.proc_root.join("self/stat").exists() {
            let message = format!("{} is no proc file system", control.proc_root.display());
            self.add(Severity::Error, "core", "proc_root", message);
        }
    }

    fn log_file(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let message = format!("{} is a directory; a file is needed", path.display());
                self.add(Severity::Error, "logging", "output", message);
            }
            // The directory must be writable even if the file is, since rotation renames it.
            found => match found.ok().and_then(|_| writable(path).err()) {
                Some(error) => self.refused("logging", "output", path, error),
                None => self.directory("logging", "output", path.parent().unwrap_or_else(|| Path::new("/"))),
            },
        }
    }

    /// The directory can be written to, or created.
    fn directory(&mut self, section: &str, name: &str, path: &Path) {
        let nearest = path.ancestors().find(|p| p.exists()).unwrap_or_else(|| Path::new("/"));
        if !nearest.is_dir() {
            let message = format!("{} is no directory", nearest.display());
            self.add(Severity::Error, section, name, message);
        } else if let Err(error) = writable(nearest) {
            self.refused(section, name, nearest, error);
        }
    }

    /// Whether a user without rights minds is not the configuration's fault; the service runs as root.
    fn refused(&mut self, section: &str, name: &str, path: &Path, error: Errno) {
        let (severity, remedy) = match error {
            _ if !geteuid().is_root() => {
                (Severity::Warning, "check as the user that the agent runs as, such as root")
            }
            Errno::EROFS => (Severity::Error, "is the file system mounted read-only?"),
            _ => (Severity::Error, "do its owner and mode forbid it, or SELinux or AppArmor?"),
        };
        let message = format!("{} is not writable for {}; {remedy}", path.display(), user());
        self.add(severity, section, name, message);
    }

    fn http_files(&mut self) {
        let http = &self.resolved.control.http;
        if let Some(tls) = &http.tls {
            self.readable("tls_cert", &tls.certificate);
            if let Some(meta) = self.readable("tls_key", &tls.key) {
                self.private("tls_key", &tls.key, &meta, Severity::Warning);
            }
            if let Some(authority) = &tls.client_ca {
                self.readable("client_ca", authority);
            }
        }
        if let Some(path) = &http.token_file {
            self.token(path);
        }
    }

    fn token(&mut self, path: &PathBuf) {
        let Some(meta) = self.readable("token_file", path) else { return };
        self.private("token_file", path, &meta, Severity::Error);
        let length = fs::read(path).map_or(0, |token| token.trim_ascii().len() as u64);
        if length < TOKEN_MIN_BYTES {
            let message = format!(
                "{0} has a token of {length} bytes, at least {TOKEN_MIN_BYTES} are needed; openssl rand -hex 32 > {0}",
                path.display()
            );
            self.add(Severity::Error, "monitoring", "token_file", message);
        }
    }

    fn private(&mut self, name: &str, path: &Path, meta: &Metadata, severity: Severity) {
        if meta.uid() != 0 && meta.uid() != geteuid().as_raw() {
            let message = format!("{0} belongs to uid {1}; chown root {0}", path.display(), meta.uid());
            self.add(severity, "monitoring", name, message);
        }
        if meta.mode() & NOT_OWNER != 0 {
            let message = format!(
                "{0} is open to others than its owner (mode {1:04o}); chmod 600 {0}",
                path.display(),
                meta.mode() & 0o7777
            );
            self.add(severity, "monitoring", name, message);
        }
    }

    fn readable(&mut self, name: &str, path: &Path) -> Option<Metadata> {
        // Without O_NONBLOCK, opening a pipe would wait for a writer.
        let flags = OFlag::O_NONBLOCK.bits();
        let opened =
            OpenOptions::new().read(true).custom_flags(flags).open(path).and_then(|file| file.metadata());
        match opened {
            Ok(meta) if meta.is_file() => return Some(meta),
            Ok(_) => self.add(Severity::Error, "monitoring", name, format!("{} is no file", path.display())),
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied && !geteuid().is_root() => {
                let message = format!("{} is not readable for {}", path.display(), user());
                self.add(Severity::Warning, "monitoring", name, message);
            }
            Err(e) => self.add(Severity::Error, "monitoring", name, format!("{}: {e}", path.display())),
        }
        None
    }

    /// A port that is taken is an error, unless an agent answers in the runtime directory: then it is most likely
    /// that agent's, and this is a check before a reload.
    fn ports(&mut self) {
        let control = &self.resolved.control;
        let sockets = [control.runtime_dir.join("tail.sock"), control.http.socket.clone()];
        let running = sockets.iter().any(|socket| UnixStream::connect(socket).is_ok());
        for listener in self.resolved.control.http.listeners.clone() {
            let name = if listener.key.ends_with("prometheus_endpoint") {
                "prometheus_endpoint"
            } else {
                "health_check_port"
            };
            match TcpListener::bind(listener.address) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::AddrInUse && running => {}
                Err(e) => self.add(Severity::Error, "monitoring", name, bind_message(listener.address, &e)),
            }
        }
    }
}

fn bind_message(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "{address} is in use by another program; `ss -ltnp sport = :{}` says which",
                address.port()
            )
        }
        io::ErrorKind::AddrNotAvailable => format!("{address} is no address of this host"),
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// As the effective user, which is the one that counts when files are opened.
fn writable(path: &Path) -> nix::Result<()> {
    let mut wanted = AccessFlags::W_OK;
    if path.is_dir() {
        wanted |= AccessFlags::X_OK;
    }
    faccessat(nix::fcntl::AT_FDCWD, path, wanted, AtFlags::AT_EACCESS)
}
