-- Merchants, their orders and refunds, and the webhooks that tell of them. States are those of src/payment/order.rs and webhook.rs.

create table merchants (
    id                 bytea not null check (length(id) = 16),
    name               text not null,
    currency           text not null,
    key_hash           bytea not null,
    hook_key           bytea not null,
    old_hook_key       bytea,
    old_hook_key_until bigint,
    fee_rate           text not null,
    fee_fixed_minor    bigint not null check (fee_fixed_minor >= 0),
    webhook_url        text,
    suspended          bigint not null check (suspended in (0, 1)),
    created_at         bigint not null,
    version            bigint not null,
    primary key (id)
);

create table orders (
    id                 bytea not null check (length(id) = 16),
    merchant           bytea not null check (length(merchant) = 16),
    merchant_name      text not null,
    number             text not null,
    customer           text not null,
    payer              bytea check (length(payer) = 16),
    payment            bytea check (length(payment) = 16),
    state              bigint not null,
    amount_minor       bigint not null check (amount_minor >= 0),
    currency           text not null,
    description        text not null,
    frozen             bigint not null check (frozen in (0, 1)),
    freeze_micros      bigint not null,
    on_timeout         bigint not null,
    frozen_minor       bigint not null check (frozen_minor >= 0),
    released_minor     bigint not null check (released_minor >= 0),
    fee_minor          bigint not null check (fee_minor >= 0),
    returned_minor     bigint not null check (returned_minor >= 0),
    refunded_minor     bigint not null check (refunded_minor >= 0),
    created_at         bigint not null,
    expires_at         bigint not null,
    paid_at            bigint,
    shipped_at         bigint,
    disputed_at        bigint,
    due_at             bigint,
    updated_at         bigint not null,
    reason             text,
    resolved_by        text,
    version            bigint not null,
    primary key (id)
);

create table order_keys (
    merchant           bytea not null check (length(merchant) = 16),
    idempotency        text not null,
    fingerprint        bytea not null,
    order_id           bytea not null check (length(order_id) = 16),
    created_at         bigint not null,
    version            bigint not null,
    primary key (merchant, idempotency)
);

create table order_refunds (
    id                 bytea not null check (length(id) = 16),
    order_id           bytea not null check (length(order_id) = 16),
    merchant           bytea not null check (length(merchant) = 16),
    amount_minor       bigint not null check (amount_minor >= 0),
    state              bigint not null,
    created_at         bigint not null,
    updated_at         bigint not null,
    version            bigint not null,
    primary key (id)
);

create table webhooks (
    id                 bytea not null check (length(id) = 16),
    merchant           bytea not null check (length(merchant) = 16),
    order_id           bytea not null check (length(order_id) = 16),
    kind               text not null,
    body               text not null,
    state              bigint not null,
    attempts           bigint not null,
    tries              bigint not null,
    due_at             bigint,
    created_at         bigint not null,
    version            bigint not null,
    primary key (id)
);

create table webhook_attempts (
    webhook            bytea not null check (length(webhook) = 16),
    number             bigint not null,
    at                 bigint not null,
    status             bigint,
    outcome            text not null,
    took_ms            bigint,
    primary key (webhook, number)
);

create index orders_number on orders (number);
create index orders_customer on orders (customer, state, created_at);
create index orders_merchant on orders (merchant, created_at);
create index orders_due on orders (due_at) where due_at is not null;
create index order_keys_created on order_keys (created_at);
create index order_refunds_order on order_refunds (order_id);
create index webhooks_due on webhooks (due_at) where due_at is not null;
create index webhooks_order on webhooks (order_id, created_at);
create index webhooks_merchant on webhooks (merchant, created_at);
