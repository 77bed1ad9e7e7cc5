-- The payments that are not at an end, apart from those that are: their state stands in no index of all payments, which a
-- payment's later states so leave alone.
create table open_payments (
    id            blob    not null primary key check (length(id) = 16),
    state         integer not null check (state not in (4, 5, 8)),
    created_at    integer not null,
    next_check_at integer
) strict, without rowid;

create index open_payments_due on open_payments (next_check_at) where next_check_at is not null;

insert into open_payments (id, state, created_at, next_check_at)
select id, state, created_at, next_check_at from payments where state not in (4, 5, 8);

drop index payments_due;
drop index payments_open;

-- Read only where all holds are read.
drop index holds_pending;
