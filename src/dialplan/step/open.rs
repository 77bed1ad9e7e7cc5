//! The question that a saved conversation waits with: how its reply is to be taken, and asking it once more.

use crate::dialplan::event::{Collect, Effect};
use crate::dialplan::program::Program;
use crate::dialplan::state::{State, Wait};
use crate::dialplan::step::Engine;

/// How to take the reply that a state waits for; nothing if it waits for something else.
#[must_use]
pub fn open_question(program: &Program, state: &State) -> Option<Collect> {
    let mut engine = waiting(program, state.clone())?;
    if engine.state.screen.as_ref().is_some_and(|screen| screen.ends) {
        engine.listen_for_pages();
    } else {
        engine.listen_again();
    }
    engine.effects.into_iter().find_map(|effect| match effect {
        Effect::Collect(collect) => Some(collect),
        _ => None,
    })
}

/// Asks the question that a state waits with once more, and counts nothing: the caller may not have had it. A state that
/// waits for something else stays as it is.
#[must_use]
pub fn ask_once_more(program: &Program, state: State) -> (State, Vec<Effect>) {
    let Some(mut engine) = waiting(program, state.clone()) else { return (state, Vec::new()) };
    if engine.state.screen.is_some() {
        engine.show_page_again();
    } else if engine.state.wait == Wait::Resume {
        engine.ask_whether_to_go_on();
        engine.show();
    } else {
        engine.ask_again();
        engine.show();
    }
    (engine.state, engine.effects)
}

fn waiting(program: &Program, state: State) -> Option<Engine<'_>> {
    let waits = matches!(state.wait, Wait::Answer | Wait::Resume);
    waits.then(|| Engine { program, state, effects: Vec::new(), secret: None })
}
