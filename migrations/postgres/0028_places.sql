-- What a payment writes lies together: each page that a commit touches first is written to the log whole.
drop index holds_pending;
create index holds_pending on holds (id) where state = 0;

alter table counters drop constraint counters_pkey, add primary key (owner, day, scope);
