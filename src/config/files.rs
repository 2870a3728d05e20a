//! Files that the configuration names: secrets, certificates, keys.
//!
//! A relative path starts at the directory systemd gives a service for its
//! credentials, when the file is there, and otherwise at the directory of the
//! configuration file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Where relative paths start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// The directory of the configuration file.
    pub(crate) beside: PathBuf,
    /// systemd's `$CREDENTIALS_DIRECTORY`.
    pub(crate) credentials: Option<PathBuf>,
}

/// The content of a file, and whether it was readable by everybody.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) is_public: bool,
}

impl Files {
    /// Returns the path that a path of the configuration stands for.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let credential = self.credentials.as_ref().map(|dir| dir.join(path));
        match credential {
            Some(credential) if credential.exists() => credential,
            _ => self.beside.join(path),
        }
    }
}

/// Reads a whole file; the error says why it cannot be read.
///
/// Only regular files of at most 1 MiB are read: a device or a pipe would
/// block, and none of the files meant here is larger.
pub(crate) fn read(path: &Path) -> Result<Content, String> {
    // Asked before opening: to open a pipe already blocks.
    let metadata = std::fs::metadata(path).map_err(|error| describe(&error))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > LARGEST {
        return Err("it is larger than 1 MiB".to_owned());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|error| describe(&error))?;
    let is_public = metadata.permissions().mode() & READABLE_BY_OTHERS != 0;
    Ok(Content { bytes, is_public })
}

/// Says in plain words why a file cannot be read.
pub(crate) fn describe(error: &std::io::Error) -> String {
    use std::io::ErrorKind;

    if error.kind() == ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else if error.kind() == ErrorKind::PermissionDenied {
        "the user this runs as may not read it".to_owned()
    } else {
        error.to_string()
    }
}

const LARGEST: u64 = 1 << 20;
const READABLE_BY_OTHERS: u32 = 0o004;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_credential_of_systemd_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files {
            beside: PathBuf::from("/etc/turnstone"),
            credentials: Some(dir.path().to_owned()),
        };
        assert_eq!(files.resolve("s"), Path::new("/etc/turnstone/s"));
        fs::write(dir.path().join("s"), "x").unwrap();
        assert_eq!(files.resolve("s"), dir.path().join("s"));
        assert_eq!(files.resolve("/abs/s"), Path::new("/abs/s"));
    }

    #[test]
    fn what_is_not_a_regular_file_is_not_read() {
        let reason = |path: &str| read(Path::new(path)).err().unwrap();
        assert_eq!(reason("/dev/zero"), "it is not a regular file");
        assert_eq!(reason("/tmp"), "it is not a regular file");
        assert_eq!(reason("/nowhere/at/all"), "there is no such file");
    }

    #[test]
    fn a_file_everybody_may_read_is_noticed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (mode, public) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(file.path()).ok().unwrap().is_public, public);
        }
    }
}
