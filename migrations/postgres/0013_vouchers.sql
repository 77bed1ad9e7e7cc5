-- Codes that carry a recharge's credit, encrypted, until the customer has them (src/payment/row/voucher.rs).
create table vouchers (
    payment    bytea  not null primary key check (length(payment) = 16),
    account    bytea  not null check (length(account) = 16),
    serial     text,
    sealed     bytea  not null,
    text       bytea  not null check (length(text) = 16),
    created_at bigint not null,
    version    bigint not null
);

create index vouchers_created on vouchers (created_at);
