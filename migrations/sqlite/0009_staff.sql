-- What staff do: the audit log and its head, proposals, refunds, carriers' statements, closed days, tiers
-- (src/payment/row/staff.rs).

create table audit_log (
    sequence integer not null primary key check (sequence > 0),
    at       integer not null,
    who      text    not null,
    what     text    not null,
    subject  text    not null,
    details  text    not null,
    previous blob    not null check (length(previous) = 32),
    hash     blob    not null check (length(hash) = 32)
) strict, without rowid;

create index audit_subject on audit_log (subject, sequence);

create table audit_head (
    id       integer not null primary key check (id = 1),
    sequence integer not null,
    hash     blob    not null check (length(hash) = 32),
    version  integer not null
) strict, without rowid;

create table proposals (
    id           blob    not null primary key check (length(id) = 16),
    act          text    not null,
    subject      text    not null,
    amount_minor integer not null,
    reason       text    not null,
    evidence     text    not null,
    state        integer not null check (state between 0 and 4),
    asked_by     text    not null,
    asked_at     integer not null,
    expires_at   integer not null,
    decided_by   text,
    decided_at   integer,
    note         text    not null,
    version      integer not null
) strict, without rowid;

create index proposals_state on proposals (state, asked_at);

create table refunds (
    payment        blob    not null primary key check (length(payment) = 16),
    refunded_minor integer not null check (refunded_minor >= 0),
    refunds        integer not null,
    version        integer not null
) strict, without rowid;

create table statements (
    id        blob    not null primary key check (length(id) = 16),
    connector text    not null,
    lines     integer not null,
    found     text    not null,
    open      integer not null,
    read_by   text    not null,
    read_at   integer not null,
    version   integer not null
) strict, without rowid;

create index statements_connector on statements (connector, read_at);

create table closed_days (
    day           integer not null primary key,
    closed_by     text    not null,
    closed_at     integer not null,
    totals        text    not null,
    open_payments integer not null,
    swept_minor   integer not null,
    audit_hash    text    not null
) strict, without rowid;

create table account_tiers (
    account blob    not null primary key check (length(account) = 16),
    tier    text    not null,
    since   integer not null
) strict, without rowid;
