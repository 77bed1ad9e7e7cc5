//! The columns of each table in the order in which `decode` reads them and `write` binds them: macros, so that whole
//! statements stay literals.

macro_rules! account_columns {
    () => {
        "id, kind, name, currency, floor_minor, balance_minor, held_minor, entries, last_transfer, opened_at"
    };
}
macro_rules! transfer_columns {
    () => {
        "id, act, fingerprint, outcome, outcome_minor, refers_to, payment, at"
    };
}
macro_rules! entry_columns {
    () => {
        "transfer, account, sequence, amount_minor, balance_after_minor, previous"
    };
}
macro_rules! hold_columns {
    () => {
        "id, account, amount_minor, expires_at, state, resolved_by"
    };
}
macro_rules! payer_columns {
    () => {
        "account, suspended, user_day_limit_minor, user_payment_limit_minor, pin_hash, pin_pepper, pin_tries, \
         pin_wait_until, pin_locked, created_at, version"
    };
}
macro_rules! binding_columns {
    () => {
        "msisdn, account, bound_at"
    };
}
macro_rules! payment_columns {
    () => {
        "id, reference, account, caller, channel, product, target, amount_minor, fee_minor, cost_minor, currency, \
         state, class, business_day, hold, connector, carrier_reference, created_at, updated_at, next_check_at, \
         checks, version, tax_minor, payee, quote, provider, deal"
    };
}
macro_rules! event_columns {
    () => {
        "payment, version, state, detail, at"
    };
}
macro_rules! attempt_columns {
    () => {
        "id, payment, number, connector, reference, created_at, answered_at, outcome, code, carrier_reference"
    };
}
macro_rules! counter_columns {
    () => {
        "scope, owner, day, used_minor, payments"
    };
}
macro_rules! pair_columns {
    () => {
        "account, target, amount_minor, payment, state, delivered_at"
    };
}
macro_rules! outbox_columns {
    () => {
        "id, kind, recipient, body, payment, state, due_at, created_at, route, sender, attempts, segments, message_id, \
         code, owner, updated_at, expires_at"
    };
}
macro_rules! suspension_columns {
    () => {
        "scope, key, since"
    };
}
macro_rules! session_columns {
    () => {
        "id, caller, channel, flow, version, state, account, payment, revision, saved_at, expires_at, key, dialogue, \
         route"
    };
}
macro_rules! inbox_columns {
    () => {
        "key, route, link, caller, channel, received_at"
    };
}
macro_rules! part_columns {
    () => {
        "message, number, total, sealed, received_at"
    };
}

pub(crate) use {
    account_columns, attempt_columns, binding_columns, counter_columns, entry_columns, event_columns,
    hold_columns, inbox_columns, outbox_columns, pair_columns, part_columns, payer_columns, payment_columns,
    session_columns, suspension_columns, transfer_columns,
};
