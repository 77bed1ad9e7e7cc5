-- Who may use an account: one-time codes (only their MACs), a PIN that was typed once (only its MAC, for two minutes), what
-- happened to numbers, and what an account is held to for a while after a change.

create table codes (
    phone      text    not null check (phone like '+%'),
    purpose    text    not null,
    account    blob    check (length(account) = 16),
    mac        blob,
    sent_at    integer not null,
    expires_at integer not null,
    tries      integer not null check (tries >= 0),
    sent       integer not null check (sent >= 0),
    since      integer not null,
    passed_at  integer,
    version    integer not null check (version > 0),
    primary key (phone, purpose)
) strict, without rowid;

create table pin_choices (
    phone text    not null primary key check (phone like '+%'),
    mac   blob    not null,
    at    integer not null
) strict, without rowid;

create table binding_history (
    id     blob    not null primary key check (length(id) = 16),
    msisdn text    not null,
    account blob   not null check (length(account) = 16),
    event  text    not null,
    at     integer not null
) strict, without rowid;

create index binding_history_account on binding_history (account, at);
create index binding_history_msisdn on binding_history (msisdn, at);

create table account_marks (
    account           blob    not null primary key check (length(account) = 16),
    bound_at          integer not null,
    pin_at            integer not null,
    next_limit_minor  integer,
    next_limit_at     integer,
    version           integer not null check (version > 0)
) strict, without rowid;

create table numbers_seen (
    msisdn  text    not null primary key,
    seen_at integer not null
) strict, without rowid;
