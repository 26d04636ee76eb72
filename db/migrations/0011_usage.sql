-- What each call used of telephone, speech and models, and what that cost.

-- Written by workers, in the transactions that mark the work as done; nothing in it is content or
-- names a person, so that it stays when those are erased and goes only with its call.
CREATE TABLE call_usage (
    call_id  text NOT NULL REFERENCES calls ON DELETE CASCADE,
    kind     text NOT NULL CHECK (kind IN ('telephony', 'stt', 'llm', 'tts', 'postcall')),
    provider text NOT NULL,
    model    text NOT NULL, -- empty where there are none
    unit     text NOT NULL
             CHECK (unit IN ('seconds', 'input_tokens', 'output_tokens', 'characters')),
    quantity numeric NOT NULL CHECK (quantity > 0),
    cost     numeric CHECK (cost >= 0), -- milli-credits; null when nobody knows a price
    PRIMARY KEY (call_id, kind, provider, model, unit)
);

SELECT wall_off('call_usage', 'EXISTS (SELECT FROM calls WHERE id = call_id)');
REVOKE INSERT, UPDATE, DELETE ON call_usage FROM sovereign_tenant;

-- When what the conversation used was written down.
ALTER TABLE call_reports ADD COLUMN counted_at timestamptz;
