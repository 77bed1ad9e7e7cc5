-- Codes that carry a recharge's credit, encrypted, until the customer has them (src/payment/row/voucher.rs).
create table vouchers (
    payment    blob    not null primary key check (length(payment) = 16),
    account    blob    not null check (length(account) = 16),
    serial     text,
    sealed     blob    not null,
    text       blob    not null check (length(text) = 16),
    created_at integer not null,
    version    integer not null
) strict, without rowid;

create index vouchers_created on vouchers (created_at);
