-- Payments of every product: what is paid on (`target` is a number, `bill:BILLER/NUMBER` or `deal:ID`), to whom, on the strength
-- of which quote, and from which account outside.

alter table payments add column tax_minor integer not null default 0 check (tax_minor >= 0);
alter table payments add column payee text;
alter table payments add column quote text;
alter table payments add column provider text;
alter table payments add column deal blob check (length(deal) = 16);

create index payments_deal on payments (deal) where deal is not null;

-- What a money action without a payment of its own came to: the same id again gets the same answer.
create table answers (
    id             blob    not null primary key check (length(id) = 16),
    action         text    not null,
    outcome        text    not null,
    outcome_values text    not null,
    at             integer not null
) strict, without rowid;
