-- A call that was asked for can be cancelled before any controller has taken it; whoever takes it
-- then closes it, and tells its webhooks.
ALTER TABLE outbound_requests ADD COLUMN cancelled boolean NOT NULL DEFAULT false;
