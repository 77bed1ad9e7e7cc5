-- The payments that are not at an end, apart from those that are: their state stands in no index of all payments, which a
-- payment's later states so leave alone.
create table open_payments (
    id            bytea  not null primary key check (length(id) = 16),
    state         bigint not null check (state not in (4, 5, 8)),
    created_at    bigint not null,
    next_check_at bigint
);

create index open_payments_due on open_payments (next_check_at) where next_check_at is not null;

insert into open_payments (id, state, created_at, next_check_at)
select id, state, created_at, next_check_at from payments where state not in (4, 5, 8);

drop index payments_due;
drop index payments_open;

-- Read only where all holds are read.
drop index holds_pending;

-- A row's second version finds room beside its first, so that no index has to name it.
alter table payments set (fillfactor = 50);
alter table attempts set (fillfactor = 50);
alter table pairs set (fillfactor = 50);
