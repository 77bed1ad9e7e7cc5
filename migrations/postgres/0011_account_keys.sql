-- API keys of accounts: what agents and buyers of charges are known by over HTTP.

create table account_keys (
    account    bytea   not null primary key check (length(account) = 16),
    key_hash   bytea   not null check (length(key_hash) = 32),
    created_at bigint  not null,
    version    bigint  not null
);
