-- Payment accounts whose money an outside provider holds, and what of them is kept for payments.
create table provider_accounts (
    account         bytea  not null primary key check (length(account) = 16),
    provider        text   not null,
    external_id     text   not null,
    since           bigint not null
);
create table reservations (
    payment         bytea  not null primary key check (length(payment) = 16),
    account         bytea  not null check (length(account) = 16),
    provider        text   not null,
    external_id     text   not null,
    reference       text   not null,
    amount_minor    bigint not null check (amount_minor > 0),
    currency        text   not null,
    stage           bigint not null,
    doubt           bigint not null check (doubt in (0, 1)),
    open            bigint not null check (open in (0, 1)),
    class           text,
    their_reference text,
    tries           bigint not null,
    created_at      bigint not null,
    updated_at      bigint not null,
    due_at          bigint,
    version         bigint not null
);
create index reservations_due on reservations (due_at) where due_at is not null;
create index reservations_open on reservations (account) where open = 1;
