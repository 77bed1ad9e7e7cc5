-- Charging through the intermediary account: agents who sell balance, and charges.

create table agents (
    account     blob    not null primary key check (length(account) = 16),
    name        text    not null,
    phone       text    not null,
    language    text    not null,
    details     text    not null,
    price_ppm   integer not null check (price_ppm > 0),
    least_minor integer not null check (least_minor > 0),
    most_minor  integer not null check (most_minor >= least_minor),
    fee_minor   integer not null check (fee_minor >= 0),
    open        integer not null check (open in (0, 1)),
    suspended   integer not null check (suspended in (0, 1)),
    created_at  integer not null,
    version     integer not null
) strict, without rowid;

create table charges (
    id              blob    not null primary key check (length(id) = 16),
    number          text    not null unique,
    agent           blob    not null check (length(agent) = 16),
    buyer           blob    not null check (length(buyer) = 16),
    agent_phone     text    not null,
    buyer_phone     text    not null,
    agent_language  text    not null,
    buyer_language  text    not null,
    details         text    not null,
    amount_minor    integer not null check (amount_minor > 0),
    price_minor     integer not null check (price_minor > 0),
    fee_minor       integer not null check (fee_minor >= 0),
    currency        text    not null,
    state           integer not null check (state between 0 and 10),
    deposit         blob    check (length(deposit) = 16),
    certificate_mac blob    check (length(certificate_mac) = 16),
    certificate     blob,
    tries           integer not null,
    due_at          integer,
    pay_by          integer,
    claimed_at      integer,
    disputed_at     integer,
    judged_by       text,
    judged_to       integer,
    evidence        text,
    created_at      integer not null,
    updated_at      integer not null,
    ended_at        integer,
    version         integer not null
) strict, without rowid;

create index charges_due on charges (due_at) where due_at is not null;
create index charges_agent on charges (agent, updated_at);
create index charges_buyer on charges (buyer, updated_at);
