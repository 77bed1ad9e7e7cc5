-- What tells a restored database from the one that was in use, and customers whose numbers were taken out
-- (src/payment/row/epoch.rs).

create table epochs (
    id      integer not null primary key check (id = 1),
    epoch   integer not null,
    at      integer not null,
    version integer not null
) strict, without rowid;

create table erasures (
    account  blob not null primary key check (length(account) = 16),
    who      text not null,
    reason   text not null,
    at       integer not null,
    ended_at integer
) strict, without rowid;
