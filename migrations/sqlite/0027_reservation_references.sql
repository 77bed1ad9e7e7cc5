-- Reservations are found by our reference, which providers' messages name.
create index reservations_reference on reservations (reference);
