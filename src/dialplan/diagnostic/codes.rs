//! The kinds of faults, and what is to be known of each: the page of codes and `keytone check --explain` are made
//! from this table.

use crate::dialplan::diagnostic::Severity;

/// What kind of fault it is. Codes never change their meaning.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize)]
pub enum Code {
    /// A line cannot be understood.
    F001,
    /// A file or a line is larger than allowed, or not UTF-8.
    F002,
    /// The same name twice.
    F003,
    /// A step that does not exist.
    F010,
    /// An action that does not exist.
    F011,
    /// Values that do not fit the action or the message.
    F012,
    /// A name that nothing in the flow sets.
    F013,
    /// A parameter in the configuration that no flow has, or of another type.
    F014,
    /// An action that this version does not perform yet.
    F015,
    /// A sub-flow that calls itself.
    F016,
    /// A sub-flow that nothing calls.
    F017,
    /// A flow that cannot be handed over to.
    F018,
    /// A language without messages.
    F019,
    /// An outcome that is not handled.
    F020,
    /// An outcome that the action does not have.
    F021,
    /// Something that can never be reached.
    F030,
    /// A step that stops without saying where to go.
    F031,
    /// A step from which no end can be reached.
    F032,
    /// A loop without a question.
    F033,
    /// A way from an unknown payment back to paying.
    F034,
    /// A payment that the caller has not confirmed.
    F035,
    /// The step for giving up asks something.
    F036,
    /// A variable that may be unset.
    F040,
    /// A value of the wrong type.
    F041,
    /// A variable that is never used.
    F042,
    /// A message that is missing.
    F050,
    /// A message that nothing uses.
    F051,
    /// Slots that differ or do not exist.
    F052,
    /// A text too long for its screens or messages.
    F053,
    /// A clip that is missing.
    F060,
    /// A clip whose text has changed since.
    F061,
    /// A clip in a wrong format.
    F062,
    /// A number, amount or date that cannot be spoken in a language.
    F063,
    /// A key with two meanings.
    F070,
    /// A menu with more entries than anybody listens to.
    F071,
    /// The same key twice in a menu.
    F072,
    /// A secret that would be shown, compared or kept.
    F080,
    /// A PIN that would be asked by text message.
    F081,
    /// Two flows that answer the same number, code or keyword.
    F090,
    /// A channel that is served without a text for it.
    F091,
    /// Two names that are nearly the same.
    F100,
    /// A suppression that suppresses nothing.
    F101,
    /// Something that no test comes by.
    F110,
}

/// Whether `-- allow` can keep a fault from being reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Allowance {
    /// It can.
    Yes,
    /// The flow would have no meaning with it.
    No,
    /// It protects money or secrets.
    Money,
}

/// What is to be known of a code.
struct About {
    title: &'static str,
    severity: Severity,
    allowance: Allowance,
    explanation: &'static str,
    example: &'static str,
}

impl Code {
    /// All of them, in order.
    pub const ALL: [Self; 43] = [
        Self::F001,
        Self::F002,
        Self::F003,
        Self::F010,
        Self::F011,
        Self::F012,
        Self::F013,
        Self::F014,
        Self::F015,
        Self::F016,
        Self::F017,
        Self::F018,
        Self::F019,
        Self::F020,
        Self::F021,
        Self::F030,
        Self::F031,
        Self::F032,
        Self::F033,
        Self::F034,
        Self::F035,
        Self::F036,
        Self::F040,
        Self::F041,
        Self::F042,
        Self::F050,
        Self::F051,
        Self::F052,
        Self::F053,
        Self::F060,
        Self::F061,
        Self::F062,
        Self::F063,
        Self::F070,
        Self::F071,
        Self::F072,
        Self::F080,
        Self::F081,
        Self::F090,
        Self::F091,
        Self::F100,
        Self::F101,
        Self::F110,
    ];

    /// The code of a name such as `F010`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| format!("{code:?}") == name)
    }

    /// A few words, as a heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.about().title
    }

    /// How bad it usually is. A text that does not fit its screens at all is an error.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.about().severity
    }

    /// Whether `-- allow` can keep it from being reported.
    #[must_use]
    pub const fn allowance(self) -> Allowance {
        self.about().allowance
    }

    /// What it is, why it matters, and what to do.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        self.about().explanation
    }

    /// The report of a flow with this fault; empty if it does not come from flows.
    #[must_use]
    pub fn example(self) -> &'static str {
        self.about().example.trim_end()
    }

    const fn about(self) -> &'static About {
        #[expect(
            clippy::indexing_slicing,
            reason = "the table has an entry for each in order; a test holds it"
        )]
        ABOUT[self as usize].1
    }
}

const ABOUT: [(Code, &About); 43] = [
    (
        Code::F001,
        &About {
            title: "a line that cannot be understood",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                The line does not have the form that its first word asks for. The report points at the first \
                thing that does not fit and says what is expected there. The rest of the file is checked all \
                the same.",
            example: include_str!("../../../tests/golden/dialplan/F001-lines.txt"),
        },
    ),
    (
        Code::F002,
        &About {
            title: "a file that is too large, or not UTF-8",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Files, lines and numbers of steps have limits, so that no file can make the daemon slow. \
                Texts are UTF-8. Divide what is too large; save the file as UTF-8.",
            example: include_str!("../../../tests/golden/dialplan/F002-line.txt"),
        },
    ),
    (
        Code::F003,
        &About {
            title: "the same name twice",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Steps, flows, messages and branches are found by their names, so that a second one would \
                never be used. Give one of them another name, or remove it.",
            example: include_str!("../../../tests/golden/dialplan/F003-steps.txt"),
        },
    ),
    (
        Code::F010,
        &About {
            title: "a step that does not exist",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                An arrow leads to a step that is not in this file. Often it is a misspelling; the nearest \
                name is offered.",
            example: include_str!("../../../tests/golden/dialplan/F010-step.txt"),
        },
    ),
    (
        Code::F011,
        &About {
            title: "an action that does not exist",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                `do` names something that Keytone cannot do. `keytone check --actions` lists every action \
                with what it takes and how it can end.",
            example: include_str!("../../../tests/golden/dialplan/F011-action.txt"),
        },
    ),
    (
        Code::F012,
        &About {
            title: "values that do not fit",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                An action, a sub-flow, a message or an input was given more, fewer or other values than it \
                takes. The report shows how it is written.",
            example: include_str!("../../../tests/golden/dialplan/F012-values.txt"),
        },
    ),
    (
        Code::F013,
        &About {
            title: "a name that nothing sets",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A variable is read that no question, outcome, `set` or parameter of this flow gives a value. \
                Often it is a misspelling.",
            example: include_str!("../../../tests/golden/dialplan/F013-variable.txt"),
        },
    ),
    (
        Code::F014,
        &About {
            title: "a param that does not fit",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                `[dialplan.params]` in the configuration names a param that no flow has, or gives one a \
                value that its type does not take. An override that silently did nothing would leave an old \
                limit in force, so it is refused.",
            example: include_str!("../../../tests/golden/dialplan/F014-param.txt"),
        },
    ),
    (
        Code::F015,
        &About {
            title: "an action that is not performed yet",
            severity: Severity::Warning,
            allowance: Allowance::No,
            explanation: "\
                The action is declared, so that flows can be written and tested with it, but this version \
                cannot carry it out. `keytone serve` refuses a folder with such a flow.",
            example: include_str!("../../../tests/golden/dialplan/F015-bill.txt"),
        },
    ),
    (
        Code::F016,
        &About {
            title: "a sub-flow that calls itself",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Sub-flows are put in place where they are called, so a sub-flow that comes back to itself \
                would never end. The report names the ring. Use a step with an arrow for what is done again.",
            example: include_str!("../../../tests/golden/dialplan/F016-ring.txt"),
        },
    ),
    (
        Code::F017,
        &About {
            title: "a sub-flow that nothing calls",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                No flow of this folder calls the sub-flow. It is checked all the same. Call it, or remove \
                the file.",
            example: include_str!("../../../tests/golden/dialplan/F017-uncalled.txt"),
        },
    ),
    (
        Code::F018,
        &About {
            title: "a flow that cannot be handed over to",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                `-> flow NAME` goes on in another flow of the folder, from its start. There is none of that name, or \
                it is a draft and this one is served, or it is a sub-flow, which is called. Sub-flows themselves hand \
                over to nothing: they return to the flow that calls them.",
            example: include_str!("../../../tests/golden/dialplan/F018-flow.txt"),
        },
    ),
    (
        Code::F019,
        &About {
            title: "a language without messages",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                The flow speaks or offers a language for which there is no message file. Write \
                `messages/LANG.msg`, or correct the name.",
            example: include_str!("../../../tests/golden/dialplan/F019-language.txt"),
        },
    ),
    (
        Code::F020,
        &About {
            title: "an outcome that is not handled",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Every way in which an action or a sub-flow can end needs a line `on …`. A missing one is the \
                usual reason why a caller is left in silence. The hint has the lines to add.",
            example: include_str!("../../../tests/golden/dialplan/F020-outcomes.txt"),
        },
    ),
    (
        Code::F021,
        &About {
            title: "an outcome that does not exist",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                The line `on …` names an outcome that the action above it does not have. Its outcomes are in \
                the hint and in `keytone check --actions`.",
            example: include_str!("../../../tests/golden/dialplan/F021-outcome.txt"),
        },
    ),
    (
        Code::F030,
        &About {
            title: "something that is never reached",
            severity: Severity::Error,
            allowance: Allowance::Yes,
            explanation: "\
                No way leads to this step or line. Either an arrow is missing, or it can be removed.",
            example: include_str!("../../../tests/golden/dialplan/F030-unreachable.txt"),
        },
    ),
    (
        Code::F031,
        &About {
            title: "a step that does not say where to go",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A step ends with an arrow, with branches that all have arrows, or with a menu. Otherwise the \
                caller would hear nothing more. Finish it with `-> step` or `-> end`.",
            example: include_str!("../../../tests/golden/dialplan/F031-dead-end.txt"),
        },
    ),
    (
        Code::F032,
        &About {
            title: "no way to an end",
            severity: Severity::Error,
            allowance: Allowance::Yes,
            explanation: "\
                From this step on every way goes round, and the conversation could only end because the \
                caller is given up. Lead some way to `-> end`.",
            example: include_str!("../../../tests/golden/dialplan/F032-no-end.txt"),
        },
    ),
    (
        Code::F033,
        &About {
            title: "a loop that never asks",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                These steps lead to each other without asking the caller anything, so that they could go \
                round for ever. Ask something on the way, or end.",
            example: include_str!("../../../tests/golden/dialplan/F033-loop.txt"),
        },
    ),
    (
        Code::F034,
        &About {
            title: "a payment after an unknown payment",
            severity: Severity::Error,
            allowance: Allowance::Money,
            explanation: "\
                After `pending` nobody knows whether the money has moved. A way from there to another \
                payment, by arrows, by the key to the start or through a sub-flow, could take it twice. Tell \
                the caller that the payment is being processed, and end.",
            example: include_str!("../../../tests/golden/dialplan/F034-pending.txt"),
        },
    ),
    (
        Code::F035,
        &About {
            title: "a payment that was not confirmed",
            severity: Severity::Error,
            allowance: Allowance::Money,
            explanation: "\
                Whoever types a secret must have heard, in that very question, what is paid and what it \
                costs. The values must not change between the question and the payment, a fee must have been \
                quoted for these very values, and each payment needs a question of its own.",
            example: include_str!("../../../tests/golden/dialplan/F035-not-heard.txt"),
        },
    ),
    (
        Code::F036,
        &About {
            title: "giving up that goes on",
            severity: Severity::Error,
            allowance: Allowance::Money,
            explanation: "\
                A caller comes to this step because he has failed too often. If it asked or acted again, \
                limits on tries would be without effect, those on guessing a PIN among them. Tell him, and \
                end.",
            example: include_str!("../../../tests/golden/dialplan/F036-giving-up.txt"),
        },
    ),
    (
        Code::F040,
        &About {
            title: "a variable that may not be set",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                On at least one way to this line nothing has set the variable. The hint names the shortest \
                such way. Set it there, or ask whether it is `known`.",
            example: include_str!("../../../tests/golden/dialplan/F040-unset.txt"),
        },
    ),
    (
        Code::F041,
        &About {
            title: "a value of the wrong type",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A value of one type stands where another is wanted: an amount is not a number, an order \
                number is not counted with. Types are found from questions, actions and messages.",
            example: include_str!("../../../tests/golden/dialplan/F041-types.txt"),
        },
    ),
    (
        Code::F042,
        &About {
            title: "a variable that is never used",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                Something is asked or set and never read. Perhaps another name was meant, or the caller is \
                asked for nothing.",
            example: include_str!("../../../tests/golden/dialplan/F042-unused.txt"),
        },
    ),
    (
        Code::F050,
        &About {
            title: "a message that is missing",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A flow, or Keytone itself, says a message that a language does not have. Every language \
                needs every message.",
            example: include_str!("../../../tests/golden/dialplan/F050-message.txt"),
        },
    ),
    (
        Code::F051,
        &About {
            title: "a message that nothing says",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                No flow says this message. Remove it, so that nobody translates and records it for nothing.",
            example: include_str!("../../../tests/golden/dialplan/F051-unused.txt"),
        },
    ),
    (
        Code::F052,
        &About {
            title: "slots that differ",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A message has the same slots with the same types in every language, in any order. A text can \
                only use the slots of its message.",
            example: include_str!("../../../tests/golden/dialplan/F052-slots.txt"),
        },
    ),
    (
        Code::F053,
        &About {
            title: "a text that is too long",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                All that is told since the caller was last heard, the question and its options make more \
                pages of a USSD screen (3) or parts of a text message (4) than people read. Shorten the \
                texts, give them a form `ussd:` or `sms:`, or ask in between. More than 8 pages would be \
                cut, which is an error. Values from outside count with their usual width here (amounts to \
                99,999.99, references of 12 digits, names of 20 letters, lists of 3 amounts or 7 options); \
                `keytone check --lengths` lists what no conversation ever passes.",
            example: include_str!("../../../tests/golden/dialplan/F053-screen.txt"),
        },
    ),
    (
        Code::F060,
        &About {
            title: "a clip that is missing",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A call would be silent where this is said. `keytone prompts build` makes what is missing.",
            example: include_str!("../../../tests/golden/dialplan/F060-few.txt"),
        },
    ),
    (
        Code::F061,
        &About {
            title: "a clip whose text has changed",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                The clip was made from another text than the message has now, so that calls say something \
                else than screens. Make it again with `keytone prompts build`, or record it again.",
            example: "",
        },
    ),
    (
        Code::F062,
        &About {
            title: "a clip in a wrong format",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Clips are WAV files of 8,000 samples a second, one channel, µ-law or 16 bits. `keytone prompts \
                import` converts others.",
            example: "",
        },
    ),
    (
        Code::F063,
        &About {
            title: "a number that cannot be spoken",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                The rules of this language in `numbers.say` do not cover a number, amount or date that a \
                message says. Add the rule; the report names it.",
            example: include_str!("../../../tests/golden/dialplan/F063-numbers.txt"),
        },
    ),
    (
        Code::F070,
        &About {
            title: "a key with two meanings",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                A menu uses a key that means something in the whole flow, or that turns the pages of a list. \
                A caller could not have both. Choose another key.",
            example: include_str!("../../../tests/golden/dialplan/F070-global.txt"),
        },
    ),
    (
        Code::F071,
        &About {
            title: "a menu that is too long to listen to",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                Nobody keeps more than nine spoken entries in mind. Divide the menu, or serve it on screens \
                only.",
            example: include_str!("../../../tests/golden/dialplan/F071-menu.txt"),
        },
    ),
    (
        Code::F072,
        &About {
            title: "the same key twice",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Two lines of a menu, or two global keys, are the same key. Only one of them could ever be \
                chosen.",
            example: include_str!("../../../tests/golden/dialplan/F072-twice.txt"),
        },
    ),
    (
        Code::F080,
        &About {
            title: "a secret that would leak",
            severity: Severity::Error,
            allowance: Allowance::Money,
            explanation: "\
                A PIN or code goes from its question straight to the action that takes it. It is never said, \
                shown, compared, sent, saved or given by a command.",
            example: include_str!("../../../tests/golden/dialplan/F080-shown.txt"),
        },
    ),
    (
        Code::F081,
        &About {
            title: "a PIN by text message",
            severity: Severity::Error,
            allowance: Allowance::Money,
            explanation: "\
                A flow that is served by text messages and asks for a secret must say what happens to it \
                there: `pin on sms refuse`, `callback` or `reply`. A PIN in a text message stays on the \
                phone and in the network. With `pin on sms none` small payments need no PIN: what is small \
                stands in keytone.toml, and the question for the PIN says the amount and the fee, and no \
                other amount.",
            example: include_str!("../../../tests/golden/dialplan/F081-sms.txt"),
        },
    ),
    (
        Code::F090,
        &About {
            title: "two flows for one command",
            severity: Severity::Error,
            allowance: Allowance::No,
            explanation: "\
                Some call, code or text message would be answered by both. Only one flow can have it. Change \
                one of the patterns.",
            example: include_str!("../../../tests/golden/dialplan/F090-first.txt"),
        },
    ),
    (
        Code::F091,
        &About {
            title: "nothing to say on a channel",
            severity: Severity::Error,
            allowance: Allowance::Yes,
            explanation: "\
                The flow is served on a channel on which this message has nothing to say or to show: a \
                screen cannot show a clip or a tone. Give the message a form for that channel.",
            example: include_str!("../../../tests/golden/dialplan/F091-form.txt"),
        },
    ),
    (
        Code::F100,
        &About {
            title: "two names that are nearly the same",
            severity: Severity::Hint,
            allowance: Allowance::Yes,
            explanation: "\
                Two steps, messages or variables differ by one slip of the pen: a doubled letter, two \
                letters in the wrong order, a hyphen. Often one of them is a misspelling of the other.",
            example: include_str!("../../../tests/golden/dialplan/F100-near.txt"),
        },
    ),
    (
        Code::F101,
        &About {
            title: "an allowance without effect",
            severity: Severity::Warning,
            allowance: Allowance::Yes,
            explanation: "\
                `-- allow …` stands at a line on which that code is not reported, names no code, or names \
                one that cannot be allowed. What protects money and secrets can never be allowed, nor can \
                what would leave the flow without a meaning. Remove it.",
            example: include_str!("../../../tests/golden/dialplan/F101-allow.txt"),
        },
    ),
    (
        Code::F110,
        &About {
            title: "something that no test comes by",
            severity: Severity::Hint,
            allowance: Allowance::Yes,
            explanation: "\
                No transcript beside the flow comes by this step or outcome. It is only looked for by \
                `keytone test --coverage`. Write a test that goes there.",
            example: "",
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (index, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(ABOUT[index].0, code);
            assert_eq!(code as usize, index);
            assert_eq!(Code::find(&format!("{code:?}")), Some(code));
            assert!(code.explanation().ends_with('.') && !code.title().ends_with('.'), "{code:?}");
        }
        assert_eq!(Code::find("F999"), None);
    }

    #[test]
    fn what_protects_money_is_never_allowed() {
        let money: Vec<Code> =
            Code::ALL.into_iter().filter(|code| code.allowance() == Allowance::Money).collect();
        assert_eq!(money, [Code::F034, Code::F035, Code::F036, Code::F080, Code::F081]);
        assert!(
            Code::ALL
                .iter()
                .all(|code| code.severity() == Severity::Error || code.allowance() != Allowance::Money)
        );
    }
}
