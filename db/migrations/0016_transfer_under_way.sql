-- A call that is being transferred refuses a second transfer, and says so.

ALTER TABLE call_commands DROP CONSTRAINT call_commands_outcome_check;
ALTER TABLE call_commands ADD CONSTRAINT call_commands_outcome_check
    CHECK (outcome IN ('done', 'not-active', 'not-understood', 'transfer-under-way'));
