-- What tells a restored database from the one that was in use, and customers whose numbers were taken out
-- (src/payment/row/epoch.rs).

create table epochs (
    id      bigint not null primary key check (id = 1),
    epoch   bigint not null,
    at      bigint not null,
    version bigint not null
);

create table erasures (
    account  bytea not null primary key check (length(account) = 16),
    who      text not null,
    reason   text not null,
    at       bigint not null,
    ended_at bigint
);
