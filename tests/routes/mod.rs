//! Recharges by more than one carrier: who is tried after whom, when nobody is, and that nothing is paid or recharged twice
//! whatever comes late, on both databases.

mod carriers;
mod failover;
mod mends;
mod vouchers;

macro_rules! on_both_databases {
    ($($room:ident::$name:ident),* $(,)?) => {
        mod sqlite {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::routes::$room::$name(Database::Sqlite).await; })*
        }
        mod postgres {
            use crate::support::market::Database;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { crate::routes::$room::$name(Database::Postgres).await; })*
        }
    };
}

on_both_databases!(
    mends::a_repetition_that_is_refused_leaves_the_first_unknown,
    mends::a_reversal_after_a_refund_pays_the_customer_once,
    mends::a_refund_and_a_reversal_at_once_pay_once,
    mends::a_contradiction_after_a_refund_pays_once,
    failover::the_next_carrier_is_tried_after_a_refusal_of_its_own,
    failover::refusals_of_the_number_end_it,
    failover::what_is_unknown_is_never_tried_elsewhere,
    failover::what_was_taken_and_then_refused_goes_on,
    failover::what_was_not_sent_goes_on,
    failover::suspended_carriers_are_passed_over,
    failover::a_crash_after_the_change_asks_the_second_and_sends_nothing,
    failover::a_crash_before_the_change_ends_with_the_first,
    failover::a_late_delivery_of_the_first_is_the_houses_loss,
    failover::amounts_decide_who_may_be_tried,
    failover::statements_of_both_carriers_find_the_payment,
    vouchers::a_code_is_sent_and_told_and_gone_when_it_is_delivered,
    vouchers::a_code_that_comes_late_is_kept_once,
    vouchers::numbers_recharged_before_are_offered_once,
    vouchers::a_conversation_that_shows_a_code_is_saved_encrypted,
);
