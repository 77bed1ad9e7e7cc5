-- Who may use an account: one-time codes (only their MACs), a PIN that was typed once (only its MAC, for two minutes), what
-- happened to numbers, and what an account is held to for a while after a change.

create table codes (
    phone      text    not null check (phone like '+%'),
    purpose    text    not null,
    account    bytea    check (length(account) = 16),
    mac        bytea,
    sent_at    bigint not null,
    expires_at bigint not null,
    tries      bigint not null check (tries >= 0),
    sent       bigint not null check (sent >= 0),
    since      bigint not null,
    passed_at  bigint,
    version    bigint not null check (version > 0),
    primary key (phone, purpose)
);

create table pin_choices (
    phone text    not null primary key check (phone like '+%'),
    mac   bytea    not null,
    at    bigint not null
);

create table binding_history (
    id     bytea    not null primary key check (length(id) = 16),
    msisdn text    not null,
    account bytea   not null check (length(account) = 16),
    event  text    not null,
    at     bigint not null
);

create index binding_history_account on binding_history (account, at);
create index binding_history_msisdn on binding_history (msisdn, at);

create table account_marks (
    account           bytea    not null primary key check (length(account) = 16),
    bound_at          bigint not null,
    pin_at            bigint not null,
    next_limit_minor  bigint,
    next_limit_at     bigint,
    version           bigint not null check (version > 0)
);

create table numbers_seen (
    msisdn  text    not null primary key,
    seen_at bigint not null
);
