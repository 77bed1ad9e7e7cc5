//! A flow as a picture: what is said, asked and done in each step, and every way out of it.
//!
//! [`Picture::of`] reads a compiled program; [`svg`], [`mermaid`] and [`dot`] draw what it read. The same flow always
//! gives the same bytes. Nothing here checks or changes a flow, and nothing here opens a file.

pub mod dot;
mod layout;
pub mod mermaid;
pub(crate) mod read;
pub mod svg;
pub mod wording;

/// A flow to be drawn.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    /// The flow's name.
    pub flow: String,
    /// The author's number for it.
    pub number: u32,
    /// A hash of everything that can change what it does.
    pub version: String,
    /// What holds for the whole flow: its global keys, how long a caller may resume.
    pub notes: Vec<String>,
    /// The steps in the order of the program, then the ways in.
    pub cards: Vec<Card>,
}

/// A step, or a way into the flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Card {
    /// The step's name; `pay/ask-pin` is the step `ask-pin` of a sub-flow that the step `pay` calls.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether callers who cannot be helped are sent here.
    pub gives_up: bool,
    /// Whether it asks for a secret, whatever else it does.
    pub secret: bool,
    /// What happens in it, in order.
    pub body: Vec<Line>,
    /// Every way out of it, in the order of the file.
    pub exits: Vec<Exit>,
}

/// What a card is, which decides its colour and its shape.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A way into the flow.
    Entry,
    /// It only tells something, or decides.
    Say,
    /// It tells something and the conversation is over.
    End,
    /// It waits for an action.
    Action,
    /// It asks for something to be typed.
    Question,
    /// It asks for one of several keys.
    Menu,
    /// It asks for a secret.
    Secret,
    /// It moves money.
    Money,
}

/// Something that happens in a step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// What kind of thing.
    pub style: Style,
    /// The message's key, the action with its arguments, or words.
    pub text: String,
    /// The message's words in the default language, with its values as they are written in the flow.
    pub words: String,
}

/// What a line of a card tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// A message that is told.
    Told,
    /// A question.
    Asked,
    /// A text message.
    Sms,
    /// An action.
    Done,
    /// Anything else: a variable that is set, a language.
    Noted,
}

/// A way out of a card.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exit {
    /// What makes it be taken.
    pub when: When,
    /// A key, an outcome, or a condition as the flow writes it.
    pub label: String,
    /// What a caller hears or reads on the way: keys of messages, and the label of a menu's option in words.
    pub said: Vec<String>,
    /// Where it leads.
    pub to: To,
    /// Whether nobody knows, on this way, if the money has moved.
    pub pending: bool,
}

/// What makes a way be taken.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum When {
    /// The caller presses a key.
    Key,
    /// An action ends so.
    Outcome,
    /// A condition holds.
    Condition,
    /// Nothing else was taken.
    Always,
}

/// Where a way leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum To {
    /// To the card of this index.
    Card(usize),
    /// To the start of the same card.
    Again,
    /// To the end of the conversation.
    End,
    /// Nowhere: the line stays open until the caller goes.
    Hold,
}

impl Picture {
    /// The flow's name and number.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}", self.flow, self.number)
    }
}

impl Card {
    /// The cards that its ways lead to, each once, in order.
    #[must_use]
    pub fn targets(&self) -> Vec<usize> {
        let mut out = Vec::new();
        for exit in &self.exits {
            if let To::Card(to) = exit.to
                && !out.contains(&to)
            {
                out.push(to);
            }
        }
        out
    }

    /// The name without those of the steps that call it.
    #[must_use]
    pub fn title(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// The steps that call it, outermost first: the frames that it stands in.
    #[must_use]
    pub fn frames(&self) -> Vec<&str> {
        let mut parts: Vec<&str> = self.name.split('/').collect();
        parts.pop();
        parts
    }
}

/// The first `most` characters, at a word's end if there is one near, with an ellipsis when something is missing.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let short: String = text.chars().take(most.saturating_sub(1)).collect();
    let at_word = short.rfind(' ').filter(|at| *at * 3 > short.len() * 2);
    let short = at_word.and_then(|at| short.get(..at)).unwrap_or(&short);
    format!("{}…", short.trim_end_matches([' ', ',', '.', ':', ';']))
}

/// Text for XML and for what is written like it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_word() {
        assert_eq!(cut("short", 10), "short");
        assert_eq!(cut("Enter the amount, then hash.", 20), "Enter the amount…");
        assert_eq!(cut("unbreakablewords", 6), "unbre…");
        assert_eq!(cut("号码号码号码", 4), "号码号…");
    }

    #[test]
    fn markup_in_texts_is_only_text() {
        assert_eq!(escaped("a<b & \"c\"'\u{7}"), "a&lt;b &amp; &quot;c&quot;&#39; ");
    }
}
