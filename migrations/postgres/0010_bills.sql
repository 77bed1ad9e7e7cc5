-- What billers have quoted: the last answer for each account and bill. Nothing that a bill can be recognised by is kept.
create table quotes (
    account      bytea  not null check (length(account) = 16),
    biller       text   not null,
    number       text   not null,
    quote        text   not null,
    least_minor  bigint not null,
    most_minor   bigint not null,
    fee_minor    bigint not null,
    expires_at   bigint not null,
    asked_at     bigint not null,
    primary key (account, biller, number)
);
create index quotes_expires on quotes (expires_at);
