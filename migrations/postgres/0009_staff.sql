-- What staff do: the audit log and its head, proposals, refunds, carriers' statements, closed days, tiers
-- (src/payment/row/staff.rs).

create table audit_log (
    sequence bigint  not null primary key check (sequence > 0),
    at       bigint  not null,
    who      text    not null,
    what     text    not null,
    subject  text    not null,
    details  text    not null,
    previous bytea   not null check (length(previous) = 32),
    hash     bytea   not null check (length(hash) = 32)
);

create index audit_subject on audit_log (subject, sequence);

create table audit_head (
    id       bigint  not null primary key check (id = 1),
    sequence bigint  not null,
    hash     bytea   not null check (length(hash) = 32),
    version  bigint  not null
);

create table proposals (
    id           bytea   not null primary key check (length(id) = 16),
    act          text    not null,
    subject      text    not null,
    amount_minor bigint  not null,
    reason       text    not null,
    evidence     text    not null,
    state        bigint  not null check (state between 0 and 4),
    asked_by     text    not null,
    asked_at     bigint  not null,
    expires_at   bigint  not null,
    decided_by   text,
    decided_at   bigint,
    note         text    not null,
    version      bigint  not null
);

create index proposals_state on proposals (state, asked_at);

create table refunds (
    payment        bytea   not null primary key check (length(payment) = 16),
    refunded_minor bigint  not null check (refunded_minor >= 0),
    refunds        bigint  not null,
    version        bigint  not null
);

create table statements (
    id        bytea   not null primary key check (length(id) = 16),
    connector text    not null,
    lines     bigint  not null,
    found     text    not null,
    open      bigint  not null,
    read_by   text    not null,
    read_at   bigint  not null,
    version   bigint  not null
);

create index statements_connector on statements (connector, read_at);

create table closed_days (
    day           bigint  not null primary key,
    closed_by     text    not null,
    closed_at     bigint  not null,
    totals        text    not null,
    open_payments bigint  not null,
    swept_minor   bigint  not null,
    audit_hash    text    not null
);

create table account_tiers (
    account bytea   not null primary key check (length(account) = 16),
    tier    text    not null,
    since   bigint  not null
);
