-- Charging through the intermediary account: agents who sell balance, and charges.

create table agents (
    account     bytea    not null primary key check (length(account) = 16),
    name        text    not null,
    phone       text    not null,
    language    text    not null,
    details     text    not null,
    price_ppm   bigint not null check (price_ppm > 0),
    least_minor bigint not null check (least_minor > 0),
    most_minor  bigint not null check (most_minor >= least_minor),
    fee_minor   bigint not null check (fee_minor >= 0),
    open        bigint not null check (open in (0, 1)),
    suspended   bigint not null check (suspended in (0, 1)),
    created_at  bigint not null,
    version     bigint not null
);

create table charges (
    id              bytea    not null primary key check (length(id) = 16),
    number          text    not null unique,
    agent           bytea    not null check (length(agent) = 16),
    buyer           bytea    not null check (length(buyer) = 16),
    agent_phone     text    not null,
    buyer_phone     text    not null,
    agent_language  text    not null,
    buyer_language  text    not null,
    details         text    not null,
    amount_minor    bigint not null check (amount_minor > 0),
    price_minor     bigint not null check (price_minor > 0),
    fee_minor       bigint not null check (fee_minor >= 0),
    currency        text    not null,
    state           bigint not null check (state between 0 and 10),
    deposit         bytea    check (length(deposit) = 16),
    certificate_mac bytea    check (length(certificate_mac) = 16),
    certificate     bytea,
    tries           bigint not null,
    due_at          bigint,
    pay_by          bigint,
    claimed_at      bigint,
    disputed_at     bigint,
    judged_by       text,
    judged_to       bigint,
    evidence        text,
    created_at      bigint not null,
    updated_at      bigint not null,
    ended_at        bigint,
    version         bigint not null
);

create index charges_due on charges (due_at) where due_at is not null;
create index charges_agent on charges (agent, updated_at);
create index charges_buyer on charges (buyer, updated_at);
