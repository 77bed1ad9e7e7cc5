-- The ledger. What is held here, and proved again by `keytone ledger verify`:
--   I1  the entries of a transfer sum to zero in each currency;
--   I2  an account's balance is the sum of its entries, and their chain has no gap;
--   I4  balance less holds is not driven below the floor;
--   I5  a hold ends once;
--   I6  transfers and entries are only ever added;
--   I7  one id, one fingerprint, one answer.
-- The rules are in src/ledger; the checks below only catch what those rules can never write.
-- Times are microseconds since 1970, amounts minor units, ids 16 bytes made by the daemon.

create table accounts (
    id            bytea   not null primary key check (length(id) = 16),
    kind          bigint  not null,
    name          text    not null,
    currency      text    not null check (length(currency) = 3),
    floor_minor   bigint,
    balance_minor bigint  not null,
    held_minor    bigint  not null check (held_minor >= 0),
    entries       bigint  not null check (entries >= 0),
    last_transfer bytea            check (length(last_transfer) = 16),
    opened_at     bigint  not null
) with (fillfactor = 70);

-- A house account has one name in each currency.
create unique index accounts_name on accounts (name, currency) where name <> '';

-- One row for each answered command, refusals too.
create table transfers (
    id            bytea   not null primary key check (length(id) = 16),
    act           bigint  not null check (act between 1 and 7),
    fingerprint   bytea   not null check (length(fingerprint) = 32),
    outcome       bigint  not null check (outcome >= 0),
    outcome_minor bigint  not null,
    refers_to     bytea            check (length(refers_to) = 16),
    payment       bytea            check (length(payment) = 16),
    at            bigint  not null
);

create index transfers_refers_to on transfers (refers_to) where refers_to is not null;
create index transfers_payment on transfers (payment) where payment is not null;

create table entries (
    transfer            bytea   not null check (length(transfer) = 16),
    account             bytea   not null check (length(account) = 16),
    sequence            bigint  not null check (sequence > 0),
    amount_minor        bigint  not null check (amount_minor <> 0),
    balance_after_minor bigint  not null,
    -- I2: the account's entry before this one. History is read along this chain from accounts.last_transfer; an index
    -- by account would cost a random page for each entry.
    previous            bytea            check (length(previous) = 16),
    primary key (transfer, account)
);

create table holds (
    id           bytea   not null primary key check (length(id) = 16),
    account      bytea   not null check (length(account) = 16),
    amount_minor bigint  not null check (amount_minor > 0),
    expires_at   bigint,
    state        bigint  not null check (state between 0 and 3),
    resolved_by  bytea            check (length(resolved_by) = 16),
    -- I5: what has ended says what ended it.
    check ((state = 0) = (resolved_by is null))
) with (fillfactor = 70);

create index holds_due on holds (expires_at, account) where state = 0 and expires_at is not null;
create index holds_pending on holds (account) where state = 0;

-- The number of the last batch that each running writer committed, so that one who lost the answer to a commit can
-- ask whether it happened.
create table writers (
    id    bytea   not null primary key check (length(id) = 16),
    batch bigint  not null,
    at    bigint  not null
) with (fillfactor = 70);
