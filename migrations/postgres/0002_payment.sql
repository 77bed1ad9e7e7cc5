-- Payments. What is held here:
--   I8   an attempt is written before its request leaves, under a reference of its own;
--   I9   a payment moves only along the allowed states (src/payment), each step one event and one version;
--   I11  counters equal what payments and holds say.

-- A customer's settings, beside the ledger account of the same id.
create table payers (
    account                  bytea   not null primary key check (length(account) = 16),
    suspended                bigint  not null check (suspended in (0, 1)),
    user_day_limit_minor     bigint  check (user_day_limit_minor >= 0),
    user_payment_limit_minor bigint  check (user_payment_limit_minor >= 0),
    pin_hash                 text,
    pin_pepper               bigint  not null,
    pin_tries                bigint  not null check (pin_tries >= 0),
    pin_wait_until           bigint  not null,
    pin_locked               bigint  not null check (pin_locked in (0, 1)),
    created_at               bigint  not null,
    version                  bigint  not null check (version > 0)
) with (fillfactor = 70);

-- A number pays from one account; an account may have many numbers.
create table bindings (
    msisdn   text    not null primary key check (msisdn like '+%'),
    account  bytea   not null check (length(account) = 16),
    bound_at bigint  not null
);

create index bindings_account on bindings (account);

create table payments (
    id                bytea   not null primary key check (length(id) = 16),
    reference         text    not null unique,
    account           bytea   not null check (length(account) = 16),
    caller            text,
    channel           bigint  not null check (channel between 1 and 4),
    product           text    not null,
    target            text    not null,
    amount_minor      bigint  not null check (amount_minor > 0),
    fee_minor         bigint  not null check (fee_minor >= 0),
    cost_minor        bigint  not null check (cost_minor >= 0),
    currency          text    not null check (length(currency) = 3),
    state             bigint  not null check (state between 0 and 8),
    class             text,
    business_day      bigint  not null,
    hold              bytea   not null check (length(hold) = 16),
    connector         text    not null,
    carrier_reference text,
    created_at        bigint  not null,
    updated_at        bigint  not null,
    next_check_at     bigint,
    checks            bigint  not null check (checks >= 0),
    version           bigint  not null check (version > 0)
) with (fillfactor = 70);

create index payments_account on payments (account, created_at);
create index payments_target on payments (target, created_at);
create index payments_created on payments (created_at);
create index payments_due on payments (next_check_at) where next_check_at is not null;
-- States 4, 5 and 8 (delivered, refused, reversed) are the ends.
create index payments_open on payments (created_at) where state not in (4, 5, 8);

-- A payment's history, only ever added to.
create table payment_events (
    payment bytea   not null check (length(payment) = 16),
    version bigint  not null check (version > 0),
    state   bigint  not null check (state between 0 and 8),
    detail  text    not null,
    at      bigint  not null,
    primary key (payment, version)
);

create table attempts (
    id                bytea   not null primary key check (length(id) = 16),
    payment           bytea   not null check (length(payment) = 16),
    number            bigint  not null check (number > 0),
    connector         text    not null,
    reference         text    not null unique,
    created_at        bigint  not null,
    answered_at       bigint,
    outcome           text,
    code              text,
    carrier_reference text,
    unique (payment, number)
);

create table counters (
    scope      bigint  not null,
    owner      text    not null,
    day        bigint  not null,
    used_minor bigint  not null check (used_minor >= 0),
    payments   bigint  not null check (payments >= 0),
    primary key (scope, owner, day)
) with (fillfactor = 70);

-- The latest payment of one account for one number and amount.
create table pairs (
    account      bytea   not null check (length(account) = 16),
    target       text    not null,
    amount_minor bigint  not null,
    payment      bytea   not null check (length(payment) = 16),
    state        bigint  not null check (state between 0 and 2),
    delivered_at bigint  not null,
    primary key (account, target, amount_minor)
);

-- What must leave after the commit.
create table outbox (
    id         bytea   not null primary key check (length(id) = 16),
    kind       text    not null,
    recipient  text    not null,
    body       text    not null,
    payment    bytea            check (length(payment) = 16),
    state      bigint  not null check (state between 0 and 2),
    due_at     bigint  not null,
    created_at bigint  not null
);

create index outbox_due on outbox (due_at) where state = 0;
create index outbox_payment on outbox (payment) where payment is not null;

-- What is shut for now.
create table suspensions (
    scope text    not null,
    key   text    not null,
    since bigint  not null,
    primary key (scope, key)
);
