//! What a dialogue is made of, on every transport: what a caller typed, and what he is shown.

use zeroize::Zeroizing;

/// What a caller typed. Wiped when it is dropped, and never shown: it may be a PIN.
#[derive(Clone, Eq, PartialEq)]
pub struct Typed(Zeroizing<String>);

impl Typed {
    /// Takes a text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for whoever reads it now.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether it is a code as it is dialled: between `*` and `#`.
    #[must_use]
    pub fn is_code(&self) -> bool {
        let text = self.0.trim();
        text.len() > 2 && text.starts_with('*') && text.ends_with('#')
    }
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Typed({} bytes)", self.0.len())
    }
}

/// What a caller sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Screen {
    /// The words.
    pub text: String,
    /// Whether the dialogue ends with it; otherwise an answer is waited for.
    pub end: bool,
}

/// What happened in a dialogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Phase {
    /// A caller dialled this: `*125*50#`.
    Begin {
        /// The string, from `*` to `#`.
        dialled: Typed,
    },
    /// A caller answered a screen.
    Answer {
        /// With this.
        text: Typed,
    },
    /// The caller or the network broke the dialogue off.
    Abort,
    /// A notification was shown.
    Notified,
}
