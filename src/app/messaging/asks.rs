//! Brings what merchants ask to customers' screens, by the desk of dialogues.

use std::future::Future;
use std::pin::Pin;

use crate::payment::ask::{Asks, Question, Said};
use crate::ussd::{Desk, Pushed};

/// Screens of ours as a way to customers.
#[derive(Debug)]
pub struct Screens<M>(pub Desk<M>);

impl<M: Clone + Send + Sync + 'static> Asks for Screens<M> {
    fn ask(&self, question: Question) -> Pin<Box<dyn Future<Output = Said> + Send>> {
        let desk = self.0.clone();
        Box::pin(async move {
            match desk.ask(&question.to, &question.code, &question.language).await {
                Ok(Pushed::Taken) => Said::Taken,
                Ok(Pushed::Unknown) => Said::Unknown,
                Ok(Pushed::Refused(why)) => Said::Refused(why),
                Err(error) => {
                    tracing::warn!(ask = %question.id, "a customer could not be asked on his screen: {error}");
                    Said::Refused("something failed on our side".to_owned())
                }
            }
        })
    }
}
