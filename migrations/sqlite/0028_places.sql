-- What a payment writes lies together: each page that a commit touches is written to the disk whole.
drop index holds_pending;
create index holds_pending on holds (id) where state = 0;

create table counters_new (
    scope      integer not null,
    owner      text    not null,
    day        integer not null,
    used_minor integer not null check (used_minor >= 0),
    payments   integer not null check (payments >= 0),
    primary key (owner, day, scope)
) strict, without rowid;

insert into counters_new (scope, owner, day, used_minor, payments)
select scope, owner, day, used_minor, payments from counters order by owner, day, scope;

drop table counters;
alter table counters_new rename to counters;
