-- Where a user's number is from: its country, and its time zones, separated by spaces ('': not known, or any of the country). Of the users
-- who are there nothing is known until they are written again: their profiles then count as changed.
ALTER TABLE user_profiles ADD COLUMN phone_country text NOT NULL DEFAULT '', ADD COLUMN phone_zones text NOT NULL DEFAULT '';
