-- A county's list is of one year: earlier ones are not to be read through.
drop index application_of_county;
create index application_of_county on application (year, county, level, state);
