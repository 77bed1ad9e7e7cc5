-- Alarms and what staff are told of them (src/payment/row/alarm.rs).

create table alarms (
    kind    text not null,
    subject text not null,
    state   integer not null check (state between 0 and 2),
    badness integer not null,
    detail  text not null,
    since   integer not null,
    told_at integer not null,
    times   integer not null,
    version integer not null,
    primary key (kind, subject)
) strict, without rowid;

create table alarm_notices (
    id         blob not null primary key check (length(id) = 16),
    kind       text not null,
    subject    text not null,
    said       text not null,
    body       text not null,
    state      integer not null check (state between 0 and 3),
    tries      integer not null,
    due_at     integer,
    status     integer,
    outcome    text not null,
    created_at integer not null,
    version    integer not null
) strict, without rowid;

create index alarm_notices_due on alarm_notices (due_at) where due_at is not null;

-- The oldest dispute is looked for every minute.
create index charges_disputed on charges (state, disputed_at);
create index orders_disputed on orders (state, disputed_at);
