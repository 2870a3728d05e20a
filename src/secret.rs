//! Secrets that cannot be printed by mistake and are wiped when dropped.

use zeroize::Zeroizing;

/// A password, shared secret or key.
///
/// It has no `Debug`, `Display` or `Serialize` on purpose: a struct that holds
/// one cannot derive them either. Reading it takes an explicit call.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes` as a secret.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// Returns the secret itself, for a computation and never for an output.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
