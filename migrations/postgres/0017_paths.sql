-- Tries of callers whose number is not believed, apart from those of an account's own numbers, and the language that a
-- customer chose.

create table paths (
    subject      text    not null primary key,
    tries        bigint not null check (tries >= 0),
    wait_until   bigint not null,
    locked_until bigint not null,
    version      bigint not null check (version > 0)
);

create table account_languages (
    account  bytea   not null primary key check (octet_length(account) = 16),
    language text    not null,
    at       bigint not null
);
