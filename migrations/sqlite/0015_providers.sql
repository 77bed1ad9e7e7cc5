-- Payment accounts whose money an outside provider holds, and what of them is kept for payments.
create table provider_accounts (
    account     blob    not null primary key check (length(account) = 16),
    provider    text    not null,
    external_id text    not null,
    since       integer not null
) strict, without rowid;
create table reservations (
    payment         blob    not null primary key check (length(payment) = 16),
    account         blob    not null check (length(account) = 16),
    provider        text    not null,
    external_id     text    not null,
    reference       text    not null,
    amount_minor    integer not null check (amount_minor > 0),
    currency        text    not null,
    stage           integer not null,
    doubt           integer not null check (doubt in (0, 1)),
    open            integer not null check (open in (0, 1)),
    class           text,
    their_reference text,
    tries           integer not null,
    created_at      integer not null,
    updated_at      integer not null,
    due_at          integer,
    version         integer not null
) strict, without rowid;
create index reservations_due on reservations (due_at) where due_at is not null;
create index reservations_open on reservations (account) where open = 1;
