-- What billers have quoted: the last answer for each account and bill. Nothing that a bill can be recognised by is kept.
create table quotes (
    account      blob    not null check (length(account) = 16),
    biller       text    not null,
    number       text    not null,
    quote        text    not null,
    least_minor  integer not null,
    most_minor   integer not null,
    fee_minor    integer not null,
    expires_at   integer not null,
    asked_at     integer not null,
    primary key (account, biller, number)
) strict, without rowid;
create index quotes_expires on quotes (expires_at);
