//! Merchants, their orders, refunds, and what they are told: rows only, no rules.

use crate::ledger::row::Id;
use crate::money::Currency;
use crate::msisdn::Msisdn;
use crate::payment::row::record::record;

record! {
    /// A merchant. Its money is on the ledger account of the same id.
    pub struct MerchantRow in "merchants" {
        key {
            /// Its id, and that of its ledger account.
            id: Id,
        }
        /// Its name, as customers hear it.
        name: String,
        /// The currency of its account and orders.
        currency: Currency,
        /// SHA-256 of the secret part of its API key.
        key_hash: Vec<u8>,
        /// The key of its webhooks' signatures, sealed for its id.
        hook_key: Vec<u8>,
        /// The one before, which signs too for a while, sealed.
        old_hook_key: Option<Vec<u8>>,
        /// Until when it does, microseconds.
        old_hook_key_until: Option<i64>,
        /// The fee's part of the amount, a decimal from 0 to 1.
        fee_rate: String,
        /// The fee's fixed part, minor units.
        fee_fixed_minor: i64,
        /// Where it is told of changes.
        webhook_url: Option<String>,
        /// Whether it may neither place nor be paid orders.
        suspended: bool,
        /// Microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// An order. What was paid is always the sum of what is frozen, released and returned.
    pub struct OrderRow in "orders" {
        key {
            /// Its id.
            id: Id,
        }
        /// Whose.
        merchant: Id,
        /// The merchant's name when it was placed.
        merchant_name: String,
        /// Digits by which its customer names it.
        number: String,
        /// The mobile number that is to pay.
        customer: Msisdn,
        /// The account that paid.
        payer: Option<Id>,
        /// Its payment.
        payment: Option<Id>,
        /// A state of [`crate::payment::order::State`].
        state: i16,
        /// Minor units.
        amount_minor: i64,
        /// The currency.
        currency: Currency,
        /// What is sold, as the merchant put it.
        description: String,
        /// Whether the money waits in the intermediary account for the customer's confirmation.
        frozen: bool,
        /// How long it waits at most, microseconds.
        freeze_micros: i64,
        /// What then happens: a number of [`crate::payment::order::OnTimeout`].
        on_timeout: i16,
        /// On the intermediary account now, minor units.
        frozen_minor: i64,
        /// Released to the merchant, the fee included, minor units.
        released_minor: i64,
        /// Of that the fee and its rounding, minor units.
        fee_minor: i64,
        /// Given back out of the intermediary account, minor units.
        returned_minor: i64,
        /// Given back out of the merchant's own balance, minor units.
        refunded_minor: i64,
        /// When it was placed, microseconds.
        created_at: i64,
        /// Until when it may be paid, microseconds.
        expires_at: i64,
        /// When it was paid, microseconds.
        paid_at: Option<i64>,
        /// When the merchant said that it was sent, microseconds.
        shipped_at: Option<i64>,
        /// When the customer disputed it, microseconds.
        disputed_at: Option<i64>,
        /// When something is to be done about it, microseconds.
        due_at: Option<i64>,
        /// The last change, microseconds.
        updated_at: i64,
        /// Why it is as it is, in a word or a sentence of staff's.
        reason: Option<String>,
        /// Who of the staff resolved it, two names.
        resolved_by: Option<String>,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// What an idempotency key made.
    pub struct OrderKeyRow in "order_keys" {
        key {
            /// Whose key.
            merchant: Id,
            /// The key.
            idempotency: String,
        }
        /// SHA-256 of what was asked.
        fingerprint: Vec<u8>,
        /// The order that it made.
        order_id: Id,
        /// Microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// A refund that a merchant asked for.
    pub struct RefundRow in "order_refunds" {
        key {
            /// Made from the order and the merchant's key.
            id: Id,
        }
        /// The order.
        order_id: Id,
        /// Whose.
        merchant: Id,
        /// Minor units.
        amount_minor: i64,
        /// A state of [`crate::payment::order::RefundState`].
        state: i16,
        /// Microseconds.
        created_at: i64,
        /// The last change, microseconds.
        updated_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// Something that a merchant is told: written with the change, sent afterwards.
    pub struct WebhookRow in "webhooks" {
        key {
            /// Stable over all attempts; the receiver tells repetitions by it.
            id: Id,
        }
        /// Who is told.
        merchant: Id,
        /// Of which order.
        order_id: Id,
        /// Such as `order.paid`.
        kind: String,
        /// The body, JSON, as it is signed and sent.
        body: String,
        /// A state of [`crate::payment::webhook::State`].
        state: i16,
        /// How many attempts were begun.
        attempts: i32,
        /// How many of them belong to the schedule that now runs; a resend by hand begins it anew.
        tries: i32,
        /// When the next is due, microseconds; while one is under way, when it is given up.
        due_at: Option<i64>,
        /// Microseconds.
        created_at: i64,
        /// Counts changes.
        version: i64,
    }
}

record! {
    /// One attempt to tell a merchant.
    pub struct WebhookAttemptRow in "webhook_attempts" {
        key {
            /// What was told.
            webhook: Id,
            /// The first is 1.
            number: i32,
        }
        /// When it began, microseconds.
        at: i64,
        /// The receiver's status, if it answered.
        status: Option<i32>,
        /// `sending`, `delivered`, or what went wrong.
        outcome: String,
        /// How long it took, milliseconds.
        took_ms: Option<i64>,
    }
}
