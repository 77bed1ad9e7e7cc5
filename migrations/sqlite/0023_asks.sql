-- What merchants asked their customers, how often, and who does not want to be asked. States are those of src/payment/ask.rs.

create table order_asks (
    id                 blob not null check (length(id) = 16),
    order_id           blob not null check (length(order_id) = 16),
    merchant           blob not null check (length(merchant) = 16),
    want               integer not null,
    state              integer not null,
    way                integer not null,
    detail             text not null,
    due_at             integer,
    created_at         integer not null,
    updated_at         integer not null,
    version            integer not null,
    primary key (id)
) strict, without rowid;

create table ask_counts (
    day                integer not null,
    subject            blob not null check (length(subject) = 16),
    asks               integer not null check (asks >= 0),
    last               blob not null check (length(last) = 16),
    version            integer not null,
    primary key (day, subject)
) strict, without rowid;

create table ask_stops (
    party              blob not null check (length(party) = 16),
    subject            blob not null check (length(subject) = 16),
    at                 integer not null,
    primary key (party, subject)
) strict, without rowid;

create index order_asks_order on order_asks (order_id, created_at);
create index order_asks_due on order_asks (due_at) where due_at is not null;
