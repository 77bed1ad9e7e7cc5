-- What merchants asked their customers, how often, and who does not want to be asked. States are those of src/payment/ask.rs.

create table order_asks (
    id                 bytea not null check (length(id) = 16),
    order_id           bytea not null check (length(order_id) = 16),
    merchant           bytea not null check (length(merchant) = 16),
    want               bigint not null,
    state              bigint not null,
    way                bigint not null,
    detail             text not null,
    due_at             bigint,
    created_at         bigint not null,
    updated_at         bigint not null,
    version            bigint not null,
    primary key (id)
);

create table ask_counts (
    day                bigint not null,
    subject            bytea not null check (length(subject) = 16),
    asks               bigint not null check (asks >= 0),
    last               bytea not null check (length(last) = 16),
    version            bigint not null,
    primary key (day, subject)
);

create table ask_stops (
    party              bytea not null check (length(party) = 16),
    subject            bytea not null check (length(subject) = 16),
    at                 bigint not null,
    primary key (party, subject)
);

create index order_asks_order on order_asks (order_id, created_at);
create index order_asks_due on order_asks (due_at) where due_at is not null;
