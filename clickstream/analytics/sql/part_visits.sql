-- The sessions of a part, each with a number that no other part has: a part has no more sessions than bytes.
-- The other tables of a part hold the number in place of the key, which needs a tenth of the room.
SELECT getvariable('part_start') + row_number() OVER (ORDER BY started_at, session_key) AS visit, *
FROM session_spans
ORDER BY visit
