-- Alarms and what staff are told of them (src/payment/row/alarm.rs).

create table alarms (
    kind    text not null,
    subject text not null,
    state   bigint not null check (state between 0 and 2),
    badness bigint not null,
    detail  text not null,
    since   bigint not null,
    told_at bigint not null,
    times   bigint not null,
    version bigint not null,
    primary key (kind, subject)
);

create table alarm_notices (
    id         bytea not null primary key check (length(id) = 16),
    kind       text not null,
    subject    text not null,
    said       text not null,
    body       text not null,
    state      bigint not null check (state between 0 and 3),
    tries      bigint not null,
    due_at     bigint,
    status     bigint,
    outcome    text not null,
    created_at bigint not null,
    version    bigint not null
);

create index alarm_notices_due on alarm_notices (due_at) where due_at is not null;

-- The oldest dispute is looked for every minute.
create index charges_disputed on charges (state, disputed_at);
create index orders_disputed on orders (state, disputed_at);
