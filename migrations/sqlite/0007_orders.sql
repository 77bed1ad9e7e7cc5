-- Merchants, their orders and refunds, and the webhooks that tell of them. States are those of src/payment/order.rs and webhook.rs.

create table merchants (
    id                 blob not null check (length(id) = 16),
    name               text not null,
    currency           text not null,
    key_hash           blob not null,
    hook_key           blob not null,
    old_hook_key       blob,
    old_hook_key_until integer,
    fee_rate           text not null,
    fee_fixed_minor    integer not null check (fee_fixed_minor >= 0),
    webhook_url        text,
    suspended          integer not null check (suspended in (0, 1)),
    created_at         integer not null,
    version            integer not null,
    primary key (id)
) strict, without rowid;

create table orders (
    id                 blob not null check (length(id) = 16),
    merchant           blob not null check (length(merchant) = 16),
    merchant_name      text not null,
    number             text not null,
    customer           text not null,
    payer              blob check (length(payer) = 16),
    payment            blob check (length(payment) = 16),
    state              integer not null,
    amount_minor       integer not null check (amount_minor >= 0),
    currency           text not null,
    description        text not null,
    frozen             integer not null check (frozen in (0, 1)),
    freeze_micros      integer not null,
    on_timeout         integer not null,
    frozen_minor       integer not null check (frozen_minor >= 0),
    released_minor     integer not null check (released_minor >= 0),
    fee_minor          integer not null check (fee_minor >= 0),
    returned_minor     integer not null check (returned_minor >= 0),
    refunded_minor     integer not null check (refunded_minor >= 0),
    created_at         integer not null,
    expires_at         integer not null,
    paid_at            integer,
    shipped_at         integer,
    disputed_at        integer,
    due_at             integer,
    updated_at         integer not null,
    reason             text,
    resolved_by        text,
    version            integer not null,
    primary key (id)
) strict, without rowid;

create table order_keys (
    merchant           blob not null check (length(merchant) = 16),
    idempotency        text not null,
    fingerprint        blob not null,
    order_id           blob not null check (length(order_id) = 16),
    created_at         integer not null,
    version            integer not null,
    primary key (merchant, idempotency)
) strict, without rowid;

create table order_refunds (
    id                 blob not null check (length(id) = 16),
    order_id           blob not null check (length(order_id) = 16),
    merchant           blob not null check (length(merchant) = 16),
    amount_minor       integer not null check (amount_minor >= 0),
    state              integer not null,
    created_at         integer not null,
    updated_at         integer not null,
    version            integer not null,
    primary key (id)
) strict, without rowid;

create table webhooks (
    id                 blob not null check (length(id) = 16),
    merchant           blob not null check (length(merchant) = 16),
    order_id           blob not null check (length(order_id) = 16),
    kind               text not null,
    body               text not null,
    state              integer not null,
    attempts           integer not null,
    tries              integer not null,
    due_at             integer,
    created_at         integer not null,
    version            integer not null,
    primary key (id)
) strict, without rowid;

create table webhook_attempts (
    webhook            blob not null check (length(webhook) = 16),
    number             integer not null,
    at                 integer not null,
    status             integer,
    outcome            text not null,
    took_ms            integer,
    primary key (webhook, number)
) strict, without rowid;

create index orders_number on orders (number);
create index orders_customer on orders (customer, state, created_at);
create index orders_merchant on orders (merchant, created_at);
create index orders_due on orders (due_at) where due_at is not null;
create index order_keys_created on order_keys (created_at);
create index order_refunds_order on order_refunds (order_id);
create index webhooks_due on webhooks (due_at) where due_at is not null;
create index webhooks_order on webhooks (order_id, created_at);
create index webhooks_merchant on webhooks (merchant, created_at);
